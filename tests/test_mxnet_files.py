"""MXNet's files: every layout of .params and every era of symbol.json, and files that lie about what they hold."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot import formats
from netglot.convert import load, validate
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.mxnet import params, symbol
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import mxnet_oracle
from tests.mxnet_ops.table import symbol_json

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
WEIGHT = np.arange(15, dtype=np.float32).reshape(3, 5)


def container(arrays: list[bytes], names: list[str], count: int | None = None) -> bytes:
    head = struct.pack("<QQQ", 0x112, 0, len(arrays) if count is None else count)
    texts = b"".join(struct.pack("<Q", len(name)) + name.encode() for name in names)
    return head + b"".join(arrays) + struct.pack("<Q", len(names)) + texts


def body(flag: int, data: bytes) -> bytes:
    return struct.pack("<iii", 1, 0, flag) + data


def v0(array: np.ndarray) -> bytes:
    return struct.pack(f"<I{array.ndim}I", array.ndim, *array.shape) + body(0, array.tobytes())


def v1(array: np.ndarray) -> bytes:
    return struct.pack(f"<Ii{array.ndim}q", V1, array.ndim, *array.shape) + body(0, array.tobytes())


def v2(array: np.ndarray, flag: int = 0) -> bytes:
    return struct.pack(f"<Iii{array.ndim}q", V2, 0, array.ndim, *array.shape) + body(flag, array.tobytes())


def v3(array: np.ndarray) -> bytes:
    return struct.pack(f"<Iii{array.ndim}q", V3, 0, array.ndim, *array.shape) + body(0, array.tobytes())


def read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "x-0000.params"
    path.write_bytes(content)
    return params.read(path)


# ------------------------------------------------------------------------ layouts


@pytest.mark.parametrize("layout", [v0, v1, v2, v3])
def test_every_layout_is_read(layout: Any, tmp_path: Path) -> None:
    found = read(tmp_path, container([layout(WEIGHT), layout(WEIGHT[1])], ["arg:w", "aux:mean"]))
    assert list(found) == ["w", "mean"]
    np.testing.assert_array_equal(found["w"], WEIGHT)
    np.testing.assert_array_equal(found["mean"], WEIGHT[1])


def test_arrays_lie_in_the_mapped_file(tmp_path: Path) -> None:
    assert not read(tmp_path, container([v2(WEIGHT)], ["w"]))["w"].flags.owndata


def test_scalars_and_empty_arrays_of_numpy_shapes(tmp_path: Path) -> None:
    found = read(tmp_path, container([v3(np.float32(7)), v3(np.zeros((2, 0), np.float32))], ["one", "none"]))
    assert found["one"].shape == ()
    assert found["one"] == 7
    assert found["none"].shape == (2, 0)


@pytest.mark.parametrize("unset", [struct.pack("<I", 0), struct.pack("<Ii", V1, 0), struct.pack("<Iii", V2, 0, 0),
                                   struct.pack("<Iii", V3, 0, -1)])  # fmt: skip
def test_arrays_that_are_not_set_are_left_out(unset: bytes, tmp_path: Path) -> None:
    assert list(read(tmp_path, container([unset, v2(WEIGHT)], ["none", "w"]))) == ["w"]


@pytest.mark.parametrize(
    ("flag", "dtype"),
    list(enumerate(["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "int16", "uint16",
                    "uint32", "uint64"])),
)  # fmt: skip
def test_element_types(flag: int, dtype: str, tmp_path: Path) -> None:
    array = np.array([[0, 1, 1]], dtype)
    found = read(tmp_path, container([v2(array, flag), v2(WEIGHT)], ["a", "w"]))
    assert found["a"].dtype == array.dtype
    np.testing.assert_array_equal(found["a"], array)
    np.testing.assert_array_equal(found["w"], WEIGHT)  # which may lie at an odd address


def test_npz_is_read_without_a_copy(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{"arg:w": WEIGHT, "aux:mean": np.asfortranarray(WEIGHT)})
    found = params.read(tmp_path / "x.npz")
    assert not found["w"].flags.owndata
    np.testing.assert_array_equal(found["w"], WEIGHT)
    np.testing.assert_array_equal(found["mean"], WEIGHT)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int32", "int8", "uint8", "int64"])
def test_what_mxnet_writes(dtype: str, tmp_path: Path) -> None:
    """Its own .params, in both its ways to see shapes."""
    for np_shape in (False, True):
        arrays = {"x": WEIGHT.astype(dtype), "w": (WEIGHT + 1).astype(dtype)}
        network = symbol_json(["x", "w", ("elemwise_add", "sum", {}, [(0, 0), (1, 0)])], [(2, 0)])
        to = tmp_path / f"model{np_shape}"
        mxnet_oracle.run(network, arrays, np_shape=np_shape, save=("w",), to=to)
        found = params.read(Path(f"{to}-0000.params"))
        assert found["w"].dtype == dtype
        np.testing.assert_array_equal(found["w"], arrays["w"])


# ------------------------------------------------------------------------ hostile


def sparse() -> bytes:
    head = struct.pack("<Iii2q", V2, 1, 2, 1, 5) + struct.pack("<i2q", 2, 3, 5)  # its storage is 1x5, the matrix 3x5
    tail = struct.pack("<iq", 1, 1) + WEIGHT[0].tobytes() + struct.pack("<q", 2)  # one index: row 2
    return head + struct.pack("<iii", 1, 0, 0) + struct.pack("<i", 6) + tail


def test_sparse_storage_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="'embedding' is stored as a row-sparse matrix"):
        read(tmp_path, container([v2(WEIGHT), sparse()], ["arg:w", "arg:embedding"]))


HOSTILE = {
    "empty": b"",
    "no magic": b"x" * 64,
    "count of 2^60": container([v2(WEIGHT)], ["w"], 1 << 60),
    "count beyond the file": container([v2(WEIGHT)], ["w"], 3),
    "overflowing product": container(
        [struct.pack("<Iii3q", V2, 0, 3, 1 << 40, 1 << 40, 16) + body(0, b"x" * 64)], ["w"]
    ),
    "product of zero in 64 bits": container([struct.pack("<Iii2q", V2, 0, 2, 1 << 32, 1 << 32) + body(0, b"")], ["w"]),
    "negative size": container([struct.pack("<Iii2q", V2, 0, 2, -3, -5) + body(0, WEIGHT.tobytes())], ["w"]),
    "rank of 2^31": container([struct.pack("<Ii", V1, 2**31 - 1)], ["w"]),
    "legacy rank": container([struct.pack("<I", 4_000_000_000)], ["w"]),
    "storage type": container([struct.pack("<Iii2q", V2, 9, 2, 3, 5) + body(0, WEIGHT.tobytes())], ["w"]),
    "element type": container([v2(WEIGHT, 77)], ["w"]),
    "truncated": container([v2(WEIGHT)], ["w"])[:70],
    "too few names": container([v2(WEIGHT), v2(WEIGHT)], ["w"]),
    "same names": container([v2(WEIGHT), v2(WEIGHT)], ["arg:w", "aux:w"]),
    "long name": container([v2(WEIGHT)], ["w"])[:-9] + struct.pack("<Q", 1 << 62) + b"w",
    "name that is no text": container([v2(WEIGHT)], ["w"])[:-1] + b"\xff",
    "zip": b"PK\x03\x04" + b"x" * 99,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_damaged_params(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"x-0000\.params"):
        read(tmp_path, content)


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    whole = container([v0(WEIGHT), v1(WEIGHT), v2(WEIGHT), v3(WEIGHT)], ["a", "b", "c", "d"])
    for size in range(len(whole)):
        with pytest.raises(ConversionError):
            read(tmp_path, whole[:size])


def npz(folder: Path, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(folder / "x.npz", "w", method) as archive:
        archive.writestr("w.npy", content)
    return folder / "x.npz"


def npy(shape: str, descr: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


@pytest.mark.parametrize(
    "content",
    [npy(f"({1 << 60},)"), npy("(4294967296, 4294967296)"), npy("(-1,)"), npy("(1,)", "|O", b"pickled"), b"x" * 80],
)
def test_damaged_npz(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"x\.npz"):
        params.read(npz(tmp_path, content))


def test_compressed_npz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="compressed"):
        params.read(npz(tmp_path, npy("(9,)", data=bytes(36)), zipfile.ZIP_DEFLATED))


def described(nodes: list[Any], heads: Any = ((0, 0),), **more: Any) -> str:
    return json.dumps({"nodes": nodes, "arg_nodes": [], "heads": heads, **more})


def null(name: str = "data", **more: Any) -> dict[str, Any]:
    return {"op": "null", "name": name, "inputs": [], **more}


def relu(name: str, *inputs: Any, **more: Any) -> dict[str, Any]:
    attributes = {} if "param" in more or "attr" in more else {"attrs": {"act_type": "relu"}}
    return {"op": "Activation", "name": name, "inputs": list(inputs), **attributes, **more}


BAD_SYMBOLS = {
    "no json": "{",
    "no table": "[]",
    "nothing": "{}",
    "deep": "[" * 100_000,
    "cycle": described([relu("a", [1, 0]), relu("b", [0, 0])]),
    "itself": described([relu("a", [0, 0])]),
    "forward": described([relu("a", [1, 0]), null()]),
    "negative": described([null(), relu("a", [-1, 0])], [[1, 0]]),
    "no such node": described([null(), relu("a", [0, 0])], [[7, 0]]),
    "no such output": described([null(), relu("a", [0, 3])], [[1, 0]]),
    "reference": described([null(), relu("a", "data")], [[1, 0]]),
    "boolean": described([null(), relu("a", [False, 0])], [[1, 0]]),
    "node": described(["data"]),
    "attributes": described([null(), relu("a", [0, 0], param=["x"])], [[1, 0]]),
    "attribute": described([null(), relu("a", [0, 0], attr={"act_type": ["relu"]})], [[1, 0]]),
    "unknown attribute": described([null(), relu("a", [0, 0], attr={"act_type": "relu", "what": "1"})], [[1, 0]]),
    "missing attribute": described([null(), relu("a", [0, 0], attr={})], [[1, 0]]),
    "bad choice": described([null(), relu("a", [0, 0], attr={"act_type": "no"})], [[1, 0]]),
    "no outputs": described([null()], []),
}


@pytest.mark.parametrize("text", BAD_SYMBOLS.values(), ids=BAD_SYMBOLS)
def test_damaged_symbols(text: str, tmp_path: Path) -> None:
    (tmp_path / "x-symbol.json").write_text(text)
    with pytest.raises(ConversionError, match=r"x-symbol\.json"):
        load(tmp_path / "x-symbol.json", inputs={"data": (1, 3)})


_LIMITED = """
import resource, sys
from netglot.cli import main
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    main(["validate", sys.argv[1]])
finally:  # of this program alone: getrusage would count what its parent, and every child of that, had before
    print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


@pytest.mark.parametrize("kind", ["chain", "params"])
def test_no_memory_is_spent_on_claims(kind: str, tmp_path: Path) -> None:
    """A chain of a million nodes, and arrays of 2^60: an error, in an address space of 4 GB."""
    count = 1_000_000 if kind == "chain" else 2
    chain = (f'{{"op":"relu","name":"n{i}","inputs":[[{i - 1},0,0]]}}' for i in range(1, count))
    first = '{"op":"null","name":"data","inputs":[],"attrs":{"__shape__":"(1,3)"}}'
    network = f'{{"nodes":[{",".join([first, *chain])}],"heads":[[{count - 1},0,0]]}}'
    (tmp_path / "x-symbol.json").write_text(network)
    if kind == "params":
        (tmp_path / "x-0000.params").write_bytes(HOSTILE["overflowing product"])
    command = [sys.executable, "-c", _LIMITED, str(tmp_path / "x-symbol.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert ("more than any" if kind == "chain" else "claims") in done.stderr
    assert int(done.stdout.split()[-1]) < 2 << 20  # kilobytes


def test_too_many_nodes(tmp_path: Path) -> None:
    (tmp_path / "x-symbol.json").write_text(described([null()] * 140_000))
    with pytest.raises(ConversionError, match="140,000 nodes are more"):
        load(tmp_path / "x-symbol.json")


# ------------------------------------------------------------------------ symbols

ERAS = {
    "0.8": described([null(attr={"mood": "x"}, param={}, backward_source_id=-1),
                      relu("a", [0, 0], param={"act_type": "relu"}, attr={"anything": "x"}, backward_source_id=-1)],
                     [[1, 0]]),
    "0.11": described([null(), relu("a", [0, 0, 0], attr={"act_type": "relu", "ctx_group": "g", "w_lr_mult": "1"})],
                      [[1, 0, 0]], attrs={"mxnet_version": ["int", 1100]}),
    "1.9": described([null(), relu("a", [0, 0, 0], attrs={"act_type": "relu", "__profiler_scope__": "x"})], [[1, 0, 0]],
                     attrs={"mxnet_version": ["int", 10901]}, node_row_ptr=[0, 1, 2]),
    "plain heads": described([null(), relu("a", [0, 0])], [1]),
}  # fmt: skip


@pytest.mark.parametrize("text", ERAS.values(), ids=ERAS)
def test_every_era_of_symbols(text: str, tmp_path: Path) -> None:
    (tmp_path / "any.json").write_text(text)
    graph = load(tmp_path / "any.json", source_format="mxnet", inputs={"data": (1, 3)})
    assert [node.op for node in graph.nodes()] == ["Relu"]
    assert [value.name for value in graph.outputs] == ["a_output"]
    origin = graph.nodes()[0].origin
    assert (origin.file, origin.layer, origin.line) == (str(tmp_path / "any.json"), "a", 1)


def test_auxiliary_states_that_old_files_leave_out(tmp_path: Path) -> None:
    """Before 0.9 they were not among a node's inputs."""
    norm = {"op": "BatchNorm", "name": "bn", "param": {"fix_gamma": "False"}, "inputs": [[0, 0], [1, 0], [2, 0]]}
    nodes = [null(), null("bn_gamma"), null("bn_beta"), norm]
    (tmp_path / "x-symbol.json").write_text(described(nodes, [[3, 0]]))
    names = ["arg:bn_gamma", "arg:bn_beta", "aux:bn_moving_mean", "aux:bn_moving_var"]
    arrays = [np.float32([2, 3]), np.float32([1, 1]), np.float32([5, 6]), np.float32([4, 9])]
    (tmp_path / "x-0001.params").write_bytes(container([v0(array) for array in arrays], names))
    graph = load(tmp_path / "x-symbol.json", inputs={"data": (1, 2)})
    found = OnnxRuntime(graph).run({"data": np.float32([[7, 9]])})["bn_output"]
    np.testing.assert_allclose(found, [[3, 4]], rtol=1e-3)


def test_all_unsupported_operators_are_named_at_once(tmp_path: Path) -> None:
    nodes = [null(), relu("a", [0, 0], op="Activatoin"), relu("b", [0, 0], op="NoSuchThing"), relu("c", [1, 0])]
    (tmp_path / "x-symbol.json").write_text(described(nodes, [[2, 0], [3, 0]]))
    with pytest.raises(UnsupportedError, match=r"(?s)Activatoin.*Near: Activation.*NoSuchThing"):
        load(tmp_path / "x-symbol.json", inputs={"data": (1, 3)})


# -------------------------------------------------------------- inputs and weights


def dense(folder: Path, *, shape: str = "(0, 5)", weights: bool = True) -> Path:
    nodes = [
        null(attrs={"__shape__": shape}), null("fc_weight"), null("label"),
        {"op": "FullyConnected", "name": "fc", "attrs": {"num_hidden": "3", "no_bias": "True"},
         "inputs": [[0, 0, 0], [1, 0, 0]]},
        {"op": "SoftmaxOutput", "name": "softmax", "inputs": [[3, 0, 0], [2, 0, 0]]},
    ]  # fmt: skip
    (folder / "net-symbol.json").write_text(described(nodes, [[4, 0, 0]]))
    if weights:
        (folder / "net-0001.params").write_bytes(container([v2(WEIGHT * 0)], ["arg:fc_weight"]))
        (folder / "net-0012.params").write_bytes(container([v2(WEIGHT)], ["arg:fc_weight"]))
    return folder / "net-symbol.json"


def test_labels_are_no_inputs_and_the_batch_stays_open(tmp_path: Path) -> None:
    graph = load(dense(tmp_path))
    assert [(value.name, value.shape) for value in graph.inputs] == [("data", ("batch", 5))]
    assert [(value.name, value.shape) for value in graph.outputs] == [("softmax_output", ("batch", 3))]
    assert load(tmp_path / "net-symbol.json", batch=7).inputs[0].shape == (7, 5)


def test_twin_files(tmp_path: Path) -> None:
    """The last epoch; and the description of a .params file, of any epoch."""
    path = dense(tmp_path)
    assert formats.files(path, None) == (path, tmp_path / "net-0012.params")
    assert formats.files(tmp_path / "net-0001.params", None) == (path, tmp_path / "net-0001.params")
    weight = load(tmp_path / "net-0001.params")["fc_weight"]
    np.testing.assert_array_equal(weight.array, WEIGHT * 0)
    np.testing.assert_array_equal(load(path)["fc_weight"].array, WEIGHT)


def test_inner_tensors_have_mxnets_names(tmp_path: Path) -> None:
    graph = load(dense(tmp_path), outputs=["fc_output"])
    assert [value.name for value in graph.outputs] == ["fc_output"]


def test_what_lies_behind_the_asked_outputs_need_not_be_supported(tmp_path: Path) -> None:
    path = dense(tmp_path)
    path.write_text(path.read_text().replace('"SoftmaxOutput"', '"NoSuchThing"'))
    graph = load(path, outputs=["fc_output"])
    assert ([value.name for value in graph.inputs], [node.op for node in graph.nodes()]) == (["data"], ["Gemm"])


def test_bodies_of_control_flow_are_read(tmp_path: Path) -> None:
    body = {"nodes": [null("x"), relu("y", [0, 0])], "heads": [[1, 0]], "arg_nodes": [0]}
    loop = {"op": "_foreach", "name": "loop", "attrs": {"num_args": "2"}, "inputs": [[0, 0, 0]], "subgraphs": [body]}
    (tmp_path / "x-symbol.json").write_text(described([null(), loop], [[1, 0, 0]]))
    found = symbol.read(tmp_path / "x-symbol.json").layers[1].subgraphs[0]
    assert ([layer.name for layer in found.layers], found.heads, found.variables) == (["x", "y"], [(1, 0)], [0])


def test_without_weights(tmp_path: Path) -> None:
    path = dense(tmp_path, weights=False)
    with pytest.raises(ConversionError, match=r"(?s)'fc_weight' \(3x5\).*give the \.params file too"):
        load(path)
    assert validate(path)["fc_weight"].shape == (3, 5)


def test_weights_of_another_size(tmp_path: Path) -> None:
    path = dense(tmp_path)
    with pytest.raises(ConversionError, match="'fc_weight' is 3x5, FullyConnected expects 3x6"):
        load(path, inputs={"data": (1, 6)})


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = dense(tmp_path)
    (tmp_path / "net-0012.params").write_bytes(container([v2(WEIGHT)], ["arg:other"]))
    with pytest.raises(ConversionError, match="none of its 1 parameters"):
        load(path)


def test_an_input_without_a_shape(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"(?s)'data' has no shape.*--input data:1x3x224x224"):
        load(dense(tmp_path, shape="(0, 0)"))
    assert load(tmp_path / "net-symbol.json", inputs={"data": (2, 5)}).inputs[0].shape == (2, 5)


def test_half_precision_stays(tmp_path: Path) -> None:
    """The input has the type of the weights that it meets, as MXNet infers it."""
    path = dense(tmp_path)
    (tmp_path / "net-0012.params").write_bytes(container([v2(WEIGHT.astype(np.float16), 2)], ["arg:fc_weight"]))
    graph = load(path)
    assert {value.dtype for value in graph.values()} == {np.dtype(np.float16)}
