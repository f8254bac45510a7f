"""TensorFlow's checkpoints against those that TensorFlow writes, and hostile ones that are made by hand."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netglot.errors import ConversionError
from netglot.frontends.tensorflow import checkpoint, sstable
from netglot.frontends.tensorflow.checkpoint import Checkpoint, prefix_of, slice_key
from netglot.frontends.tensorflow.objects import tracked_objects
from netglot.frontends.tensorflow.proto import Message
from netglot.frontends.tensorflow.snappy import decompressed
from netglot.frontends.tensorflow.tensors import packed_strings
from netglot.ir.protobuf import key, varint
from tests.oracles import model

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

TYPES = "float32 float64 int32 uint8 int16 int8 complex64 int64 bool bfloat16 uint16 half uint32 uint64 float8_e5m2"


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


def values(dtype: np.dtype, *shape: int) -> np.ndarray:
    numbers = np.random.default_rng(len(shape)).normal(size=shape) * 3
    return np.asarray(numbers).astype(dtype)


def save(tf: Any, prefix: Path, tensors: dict[str, Any], slices: tuple[str, ...] = ()) -> Path:
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=list(slices) or [""] * len(names),
        tensors=[tf.constant(value) for value in tensors.values()],
    )
    return prefix


# ------------------------------------------------------------- what TensorFlow writes


@pytest.mark.parametrize("name", TYPES.split())
def test_every_type(tf: Any, tmp_path: Path, name: str) -> None:
    dtype = np.dtype(tf.as_dtype(name).as_numpy_dtype)
    tensors = {f"t{rank}": values(dtype, *(3, 5, 7)[:rank]) for rank in range(4)} | {"empty": values(dtype, 0, 4)}
    found = Checkpoint(save(tf, tmp_path / "net", tensors))
    assert sorted(found) == found.keys() == sorted(tensors)
    for key_, wanted in tensors.items():
        array = found.array(key_)
        assert (array.dtype, array.shape, array.tobytes()) == (dtype, wanted.shape, wanted.tobytes())


def test_text(tf: Any, tmp_path: Path) -> None:
    wanted = [["a", "\u00e9" * 200], ["", "c"]]
    found = Checkpoint(save(tf, tmp_path / "net", {"t": wanted, "binary": b"\xff\0", "none": np.empty((0,), "S1")}))
    assert found.array("t").tolist() == wanted
    assert found.array("binary").item() == b"\xff\0"
    assert found.array("none").tolist() == []


def test_values_are_views_of_the_shard(tf: Any, tmp_path: Path) -> None:
    found = Checkpoint(save(tf, tmp_path / "net", {"t": values(np.dtype("f4"), 3, 5)}))
    shard = np.frombuffer(found._shard(0), np.uint8)
    assert np.shares_memory(found.array("t"), shard)
    assert not found.array("t").flags.writeable


def test_an_index_of_many_blocks(tf: Any, tmp_path: Path) -> None:
    tensors = {f"a/rather/long/name/of/a/variable/{'x' * 150}/{number:05d}": np.int32(number) for number in range(2000)}
    found = Checkpoint(save(tf, tmp_path / "net", tensors))
    assert {key_: int(found.array(key_)) for key_ in found} == tensors


def test_several_shards(tf: Any, tmp_path: Path) -> None:
    parts = [save(tf, tmp_path / f"part{n}", {f"t{n}": values(np.dtype("f4"), n + 2, 3)}) for n in range(3)]
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=list(map(str, parts)), destination_prefix=str(tmp_path / "net"))
    found = Checkpoint(tmp_path / "net")
    assert found.shards == 3
    for n in range(3):
        assert np.array_equal(found.array(f"t{n}"), values(np.dtype("f4"), n + 2, 3))


SLICED = ("70 9 0,33:-", "70 9 33,37:0,4", "70 9 33,37:4,5")


def sliced(wanted: np.ndarray) -> list[np.ndarray]:
    return [wanted[:33], wanted[33:, :4], wanted[33:, 4:]]


def save_slices(tf: Any, prefix: Path, wanted: np.ndarray) -> Path:
    parts = []
    for number, (part, spec) in enumerate(zip(sliced(wanted), SLICED, strict=True)):
        parts.append(save(tf, prefix.with_name(f"part{number}"), {"layer/w": part}, (spec,)))
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=list(map(str, parts)), destination_prefix=str(prefix))
    return prefix


def test_slices_are_assembled(tf: Any, tmp_path: Path) -> None:
    wanted = values(np.dtype("f4"), 70, 9)
    found = Checkpoint(save_slices(tf, tmp_path / "net", wanted))
    assert found.keys() == ["layer/w"]
    assert np.array_equal(found.array("layer/w"), wanted)


def rows_of(whole: np.ndarray) -> Any:
    """The initializer of a variable that is partitioned along its first axis."""

    def rows(shape: Any, dtype: Any, partition_info: Any) -> np.ndarray:
        return whole[partition_info.var_offset[0] :][: shape[0]]

    return rows


def test_a_partitioned_variable(tf: Any, tmp_path: Path) -> None:
    """As tf.compat.v1 saves one, in the format of today and in that before TensorFlow 1.0."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        partitioner = v1.fixed_size_partitioner(3, axis=0)
        wanted = values(np.dtype("f4"), 200, 3)
        part = v1.get_variable("w", wanted.shape, partitioner=partitioner, initializer=rows_of(wanted))
        v1.get_variable("step", initializer=np.int64(-7))
        session.run(v1.global_variables_initializer())
        assert len(list(part)) == 3
        for version in (v1.train.SaverDef.V1, v1.train.SaverDef.V2):
            path = v1.train.Saver(write_version=version).save(session, str(tmp_path / f"net{version}"))
            found = Checkpoint(Path(path))
            assert sorted(found) == ["step", "w"]
            assert np.array_equal(found.array("w"), wanted)
            assert found.array("step") == -7


def test_the_format_before_1_0(tf: Any, tmp_path: Path) -> None:
    """One file. Every type that it knows."""
    names = "float32 float64 int32 uint8 int16 int8 int64 bool complex64 half"
    tensors = {name: values(np.dtype(name), 3, 5) for name in names.split()}
    constants = [tf.constant(value) for value in tensors.values()]
    tf.raw_ops.Save(filename=str(tmp_path / "old.ckpt"), tensor_names=list(tensors), data=constants)
    found = Checkpoint(tmp_path / "old.ckpt")
    for name, wanted in tensors.items():
        array = found.array(name)
        assert (array.dtype, array.shape, array.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())


def test_the_objects_of_a_checkpoint(tf: Any, tmp_path: Path) -> None:
    net = tf.Module()
    net.layers = [tf.Variable(1.5, name="first"), tf.Variable(2.5, name="second")]
    setattr(net, "a.b", tf.Variable(3.5, name="odd"))
    path = Path(tf.train.Checkpoint(net=net).save(str(tmp_path / "net")))
    found = Checkpoint(path)
    objects = found.objects()
    assert objects is not None
    keys = objects.by_full_name()
    assert {name: float(found.array(keys[name])) for name in ("first", "second", "odd")} == {
        "first": 1.5,
        "second": 2.5,
        "odd": 3.5,
    }
    assert keys["odd"] == "net/a..b/.ATTRIBUTES/VARIABLE_VALUE"


def test_a_checkpoint_without_objects(tf: Any, tmp_path: Path) -> None:
    assert Checkpoint(save(tf, tmp_path / "net", {"t": [1.0]})).objects() is None


def test_a_real_checkpoint(tf: Any) -> None:
    prefix = model("tf/kws_saved_model") / "variables" / "variables"
    reader = tf.train.load_checkpoint(str(prefix))
    found = Checkpoint(prefix)
    assert set(found) == set(reader.get_variable_to_shape_map())
    for key_ in found:
        if key_ != checkpoint.OBJECT_GRAPH:
            assert np.array_equal(found.array(key_), reader.get_tensor(key_)), key_


@pytest.mark.parametrize("name", ["ckpt-7", "ckpt-7.index", "ckpt-7.meta", "ckpt-7.data-00001-of-00003"])
def test_every_file_names_its_checkpoint(name: str) -> None:
    assert prefix_of(Path("folder") / name) == Path("folder/ckpt-7")


def test_snappy_is_what_tensorflow_compresses_with(tf: Any) -> None:
    from tensorflow.core.framework import tensor_pb2

    for wanted in (np.arange(30000) // 7, np.random.default_rng(0).integers(0, 1 << 60, 2000), np.zeros(9, np.int64)):
        variant = tf.io.serialize_tensor(tf.raw_ops.CompressElement(components=[tf.constant(wanted)])).numpy()
        content = tensor_pb2.TensorProto.FromString(variant).tensor_content
        data = tensor_pb2.VariantTensorDataProto.FromString(bytes(packed_strings(memoryview(content), 1)[0]))
        compressed = Message(memoryview(data.metadata)).view(1)
        assert decompressed(compressed) == wanted.tobytes()


# ------------------------------------------------------------------ made by hand


def block(content: bytes, kind: int = 0) -> bytes:
    whole = content + bytes([kind])
    return whole + struct.pack("<I", sstable.masked(sstable.crc32c(memoryview(whole))))


def entries(pairs: dict[bytes, bytes]) -> bytes:
    """A block's pairs without shared prefixes, and one restart."""
    body = b"".join(b"\0" + varint(len(k)) + varint(len(v)) + k + v for k, v in pairs.items())
    return body + struct.pack("<II", 0, 1)


def handle(offset: int, size: int) -> bytes:
    return varint(offset) + varint(size)


def footer(offset: int, size: int) -> bytes:
    return (handle(0, 0) + handle(offset, size)).ljust(40, b"\0") + struct.pack("<Q", sstable.MAGIC)


def table(data: bytes, kind: int = 0) -> bytes:
    """A table of one block."""
    index = entries({b"z": handle(0, len(data))})
    first = block(data, kind)
    return first + block(index) + footer(len(first), len(index))


def field(number_: int, content: bytes) -> bytes:
    return key(number_, 2) + varint(len(content)) + content


def number(number_: int, value: int) -> bytes:
    return key(number_, 0) + varint(value % (1 << 64))


def shape(*sizes: int) -> bytes:
    return field(2, b"".join(field(2, number(1, size)) for size in sizes))


def extent(start: int, length: int) -> bytes:
    return field(1, number(1, start) + number(2, length))


HEADER = number(1, 1)
FLOATS = np.arange(6, dtype=np.float32)


def write(folder: Path, entry: bytes, header: bytes = HEADER, more: dict[bytes, bytes] | None = None) -> Path:
    (folder / "net.index").write_bytes(table(entries({b"": header, b"t": entry, **(more or {})})))
    (folder / "net.data-00000-of-00001").write_bytes(FLOATS.tobytes())
    return folder / "net"


def test_a_checkpoint_made_by_hand(tmp_path: Path) -> None:
    entry = number(1, 1) + shape(2, 3) + number(5, 24)
    assert np.array_equal(Checkpoint(write(tmp_path, entry)).array("t"), FLOATS.reshape(2, 3))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (number(1, 1) + shape(2, 3) + number(4, 4) + number(5, 24), "claims bytes 4 to 28 of a shard of 24"),
        (number(1, 1) + shape(1) + number(4, 1 << 62) + number(5, 4), "of a shard of 24"),
        (number(1, 1) + shape(1) + number(4, -4) + number(5, 4), "claims bytes -4 to 0"),
        (number(1, 1) + shape(1) + number(4, 8) + number(5, -4), "claims bytes 8 to 4"),
        (number(1, 1) + shape(7) + number(5, 24), "is 28 bytes, found 24"),
        (number(1, 1) + shape(10**6, 10**6) + number(5, 24), "is 4,000,000,000,000 bytes, found 24"),
        (number(1, 1) + shape(-1, -4) + number(5, 24), "size -4"),
        (number(1, 1) + shape(-1) + number(5, 24), "a stored tensor has the shape"),
        (number(1, 1) + shape(6) + number(3, 1) + number(5, 24), "in shard 1, where there are 1"),
        (number(1, 1) + shape(6) + number(3, -1) + number(5, 24), "in shard -1"),
        (number(1, 99) + shape(6) + number(5, 24), "no element type 99"),
        (number(1, 21) + shape() + number(5, 24), "its elements are variant"),
        (number(1, 0) + shape() + number(5, 24), "of no type"),
        (number(1, 7) + shape(10**12) + number(5, 24), "in the middle of a number|strings claim"),
        (b"\x0a\xff", "truncated"),
        (number(1, 1) + shape(6) + field(7, extent(0, 6)), "a slice of it is not there"),
        (number(1, 1) + shape(6) + field(7, extent(0, 7)), "a slice leaves its tensor"),
        (number(1, 1) + shape(6) + field(7, extent(-2, 3)), "a slice leaves its tensor"),
        (number(1, 1) + shape(6) + field(7, extent(5, -3)), "a slice leaves its tensor"),
        (number(1, 1) + shape(2, 3) + field(7, extent(0, 2)), "a slice of 1 axes of a tensor of 2"),
    ],
)
def test_hostile_entries(tmp_path: Path, entry: bytes, reason: str) -> None:
    found = Checkpoint(write(tmp_path, entry))
    with pytest.raises(ConversionError, match=r"net\.index: 't' of the checkpoint can't be read: .*" + reason):
        found.array("t")


def slices(*parts: tuple[int, int], size: int = 6) -> tuple[bytes, dict[bytes, bytes]]:
    """An entry that is in slices of one axis, and the entries of the slices; all begin at the shard's first byte."""
    entry = number(1, 1) + shape(size) + b"".join(field(7, extent(*part)) for part in parts)
    own = {slice_key("t", (part,)): number(1, 1) + shape(part[1]) + number(5, 4 * part[1]) for part in parts}
    return entry, own


@pytest.mark.parametrize(
    ("parts", "size", "reason"),
    [
        ([(0, 2), (2, 3)], 6, r"don't make up"),
        ([(0, 4), (3, 2)], 6, "its slices overlap"),
        ([(5 * n, 5) for n in range(40)], 200, "its slices share their bytes"),
    ],
)
def test_hostile_slices(tmp_path: Path, parts: list[tuple[int, int]], size: int, reason: str) -> None:
    entry, own = slices(*parts, size=size)
    with pytest.raises(ConversionError, match=reason):
        Checkpoint(write(tmp_path, entry, more=own)).array("t")


def test_slices_of_another_shape(tmp_path: Path) -> None:
    entry, own = slices((0, 3), (3, 3))
    own[slice_key("t", ((3, 3),))] = number(1, 1) + shape(2) + number(5, 8)
    with pytest.raises(ConversionError, match=r"a slice of .*3.* is stored as .*2.* of float32"):
        Checkpoint(write(tmp_path, entry, more=own)).array("t")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (number(1, 0), "claims 0 shards"),
        (number(1, 10**9), "claims 1,000,000,000 shards"),
        (number(1, -1), "claims -1 shards"),
        (number(1, 1) + number(2, 1), "big-endian"),
        (b"\xff", "in the middle of a number"),
    ],
)
def test_hostile_headers(tmp_path: Path, header: bytes, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        Checkpoint(write(tmp_path, b"", header))


def test_a_shard_that_is_not_there_or_elsewhere(tmp_path: Path) -> None:
    prefix = write(tmp_path, number(1, 1) + shape(6) + number(5, 24), number(1, 2))
    with pytest.raises(ConversionError, match=r"its shard 'net\.data-00000-of-00002' is not there"):
        Checkpoint(prefix).array("t")
    folder = tmp_path / "inner"
    folder.mkdir()
    prefix = write(folder, number(1, 1) + shape(6) + number(5, 24))
    (folder / "net.data-00000-of-00001").unlink()
    (folder / "net.data-00000-of-00001").symlink_to(tmp_path / "net.data-00000-of-00001")
    with pytest.raises(ConversionError, match="outside the model's folder"):
        Checkpoint(prefix).array("t")


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="holds no 'other'"):
        Checkpoint(write(tmp_path, number(1, 1))).array("other")
    with pytest.raises(ConversionError, match="can't read it"):
        Checkpoint(tmp_path / "nothing")


GOOD = entries({b"": HEADER})


def damaged(at: int) -> bytes:
    content = bytearray(table(GOOD))
    content[at] ^= 1
    return bytes(content)


def two_blocks(*handles: tuple[int, int]) -> bytes:
    first = block(GOOD)
    index = entries({bytes([65 + n]): handle(*item) for n, item in enumerate(handles)})
    return first + block(index) + footer(len(first), len(index))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "can't read it"),
        (b"\0" * 100, "doesn't end as an index"),
        (table(GOOD)[:-1], "doesn't end as an index"),
        (table(GOOD)[-47:], "doesn't end as an index"),
        (damaged(3), "its checksum is wrong"),
        (damaged(len(GOOD) + 3), "its checksum is wrong"),
        (table(GOOD, kind=2), "compressed in an unknown way"),
        (table(b"\xff\xff\xff\xff\x0f", kind=1), "claims 4,294,967,295 bytes"),
        (table(b"\x05\x00", kind=1), "cut off"),
        (table(b"\x05\x05\x07", kind=1), "cut off|repeats what is not there"),
        (table(b"\x05\x00a\x02\x09\x00", kind=1), "repeats what is not there"),
        (table(b"\x0f\x00a", kind=1), "holds another number"),
        (footer(0, 1 << 40), "a block claims bytes 0 to"),
        (footer((1 << 63) + 5, 4), "a block claims"),
        (two_blocks((0, len(GOOD)), (0, len(GOOD))), "its blocks overlap at byte 0"),
        (two_blocks((0, 1 << 30)), "a block claims"),
        (table(entries({})[:3]), "a block of 3 bytes"),
        (table(b"\0\0\0\0\xff\xff\xff\xff"), "claims 4,294,967,295 restarts"),
        (table(b"\5\1\0a" + struct.pack("<II", 0, 1)), "an entry of a block leaves the block"),
        (table(b"\0\x7f\0a" + struct.pack("<II", 0, 1)), "an entry of a block leaves the block"),
        (table(b"\0\1\x7fa" + struct.pack("<II", 0, 1)), "an entry of a block leaves the block"),
        (table(b"\xff" * 12 + struct.pack("<II", 0, 1)), "in the middle of a number"),
    ],
)
def test_hostile_tables(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "net.index").write_bytes(content)
    with pytest.raises(ConversionError, match=r"net\.index.*" + reason):
        Checkpoint(tmp_path / "net")


def test_keys_that_grow(tmp_path: Path) -> None:
    """Each key shares all of the one before: a small file that claims gigabytes of keys."""
    start = b"\0" + varint(1 << 20) + b"\0" + b"k" * (1 << 20)
    again = varint(1 << 20) + b"\1\0x"
    (tmp_path / "net.index").write_bytes(table(start + again * 300 + struct.pack("<II", 0, 1)))
    with pytest.raises(ConversionError, match="its keys are longer than"):
        Checkpoint(tmp_path / "net")


@given(st.binary(max_size=200))
def test_any_bytes_in_a_block(content: bytes) -> None:
    try:
        found = sstable.table(memoryview(table(content)))
    except ValueError:
        return
    assert sum(len(value) for value in found.values()) <= len(content)


@given(st.binary(max_size=100))
def test_any_bytes_as_snappy(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert len(decompressed(memoryview(content))) <= 64 * len(content)


@given(st.binary(max_size=100))
def test_any_bytes_as_objects(content: bytes) -> None:
    try:
        objects = tracked_objects(memoryview(content)).objects
    except ValueError:
        return
    assert all(0 <= child < len(objects) for item in objects for child in item.children.values())
