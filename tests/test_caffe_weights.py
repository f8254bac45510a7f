"""Caffe's weights files: HDF5 snapshots, mean images, and what must be refused in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from netglot.errors import ConversionError
from netglot.frontends.caffe import load, read_mean, weights
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.caffe import wire

GOLDENS = Path(__file__).parent / "caffe" / "goldens"
NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 6 } } }\n'


def test_hdf5_lies_in_the_mapped_file() -> None:
    found = weights.read(GOLDENS / "binary_hdf5.caffemodel.h5")
    assert {name: sorted(blobs) for name, blobs in found.items()} == {"conv1": [0, 1], "ip1": [0, 1]}
    assert not any(blob.flags.owndata or blob.flags.writeable for blobs in found.values() for blob in blobs.values())


def test_a_layer_name_with_slashes_nests_groups(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["data/stage1/conv/0"] = NUMBERS
        file["data/stage1/conv/1"] = NUMBERS[0]
        file["data/stage1/0"] = NUMBERS
        file.create_group("data/relu")
    found = weights.read(tmp_path / "net.h5")
    assert {name: sorted(blobs) for name, blobs in found.items()} == {"stage1": [0], "stage1/conv": [0, 1]}
    assert np.array_equal(found["stage1/conv"][0], NUMBERS)


def soft_link(file: h5py.File) -> None:
    file["elsewhere"] = NUMBERS
    file["data/conv/0"] = h5py.SoftLink("/elsewhere")


def external_link(file: h5py.File) -> None:
    file["data/conv/0"] = h5py.ExternalLink("/etc/hostname", "/data")


def external_group(file: h5py.File) -> None:
    file["data"] = h5py.ExternalLink("other.h5", "/data")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("data/conv/0", (64,), "u1", external=[("/etc/hostname", 0, 64)])


def virtual_dataset(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((5 * 10**8, 5), "<f4")
    file.create_virtual_dataset("data/conv/0", layout)


def unallocated(file: h5py.File) -> None:
    file.create_dataset("data/conv/0", (5 * 10**8, 5), "<f4")  # 10 GB that are nowhere in the file


def compressed(file: h5py.File) -> None:
    file.create_dataset("data/conv/0", (2**20, 16), "<f4", chunks=(2**20, 16), compression="gzip", data=None)


def text(file: h5py.File) -> None:
    file["data/conv/0"] = "not numbers"


def no_index(file: h5py.File) -> None:
    file["data/conv/weight"] = NUMBERS


def cycle(file: h5py.File) -> None:
    group = file.create_group("data/conv")
    group["again"] = file["data"]


def nothing(file: h5py.File) -> None:
    file["model_weights/conv/0"] = NUMBERS


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (soft_link, "link to somewhere else"),
        (external_link, "link to somewhere else"),
        (external_group, "link to somewhere else"),
        (external_storage, "not plain numbers in one piece"),
        (virtual_dataset, "not plain numbers in one piece"),
        (unallocated, "not plain numbers in one piece"),
        (compressed, "not plain numbers in one piece"),
        (text, "not plain numbers in one piece"),
        (no_index, "no blob"),
        (cycle, "there twice"),
        (nothing, "no layer in this file"),
    ],
)
def test_hdf5_that_caffe_does_not_write(write: Callable[[h5py.File], None], what: str, tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel.h5"
    with h5py.File(path, "w") as file:
        write(file)
    with pytest.raises(ConversionError, match=what) as caught:
        weights.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("size", [8, 96, 500, 2000, 4200])
def test_truncated_hdf5(size: int, tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel.h5"
    path.write_bytes((GOLDENS / "binary_hdf5.caffemodel.h5").read_bytes()[:size])
    with pytest.raises(ConversionError, match="not a whole Caffe HDF5 file"):
        weights.read(path)


def test_any_byte_of_an_hdf5_file_may_be_wrong(tmp_path: Path) -> None:
    whole = (GOLDENS / "binary_hdf5_shared.caffemodel.h5").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "net.caffemodel.h5"
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, 4168, 4):  # before the numbers
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            found = weights.read(path)
        except ConversionError:
            refused += 1
        else:
            assert sum(blob.nbytes for blobs in found.values() for blob in blobs.values()) <= len(whole)
    assert refused


def test_mean_image() -> None:
    with np.load(GOLDENS / "mean.npz") as file:
        assert np.array_equal(read_mean(GOLDENS / "mean.binaryproto"), file["mean"][0])


@pytest.mark.parametrize("data", [b"", b"\xff\xff", wire.integer(1, 3), wire.shape(NUMBERS) + wire.packed(NUMBERS)])
def test_no_mean_image(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "mean.binaryproto").write_bytes(data)
    with pytest.raises(ConversionError, match=r"mean\.binaryproto"):
        read_mean(tmp_path / "mean.binaryproto")


def with_mean(folder: Path, options: LoadOptions) -> tuple[list[tuple[str, tuple[int, ...]]], np.ndarray, np.ndarray]:
    """(inputs, a random feed, what ReLU(feed - mean) is) of a network that is one ReLU."""
    path = folder / "net.prototxt"
    path.write_text(INPUT + 'layer { name: "out" type: "ReLU" bottom: "data" top: "out" }')
    graph = load(path, None, options)
    graph.check()
    x = np.random.default_rng(0).uniform(0, 255, graph.inputs[0].sizes).astype(np.float32)
    return [(value.name, value.sizes) for value in graph.inputs], x, OnnxRuntime(graph).run({"data": x})["out"]


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(5, 7, slice(0, 5), slice(0, 7)),
                                                                  (4, 4, slice(0, 4), slice(1, 5))])  # fmt: skip
def test_the_mean_is_subtracted(height: int, width: int, rows: slice, columns: slice, tmp_path: Path) -> None:
    """A mean larger than the input is cropped in the middle, as Caffe's data transformer does at test time."""
    spec = {"data": TensorSpec((2, 3, height, width))}
    inputs, x, out = with_mean(tmp_path, LoadOptions(inputs=spec, mean=GOLDENS / "mean.binaryproto"))
    mean = read_mean(GOLDENS / "mean.binaryproto")[:, rows, columns]
    assert inputs == [("data", (2, 3, height, width))]
    assert np.array_equal(out, np.maximum(x - mean, 0))


def test_a_mean_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"a mean of .* does not fit"):
        with_mean(tmp_path, LoadOptions(inputs={"data": TensorSpec((2, 3, 6, 7))}, mean=GOLDENS / "mean.binaryproto"))
