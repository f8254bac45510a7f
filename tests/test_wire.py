"""The reader of protobuf's wire format, against bytes that are right, old, torn and random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netglot.errors import ConversionError
from netglot.frontends.caffe import weights
from netglot.frontends.wire import BYTES, FIXED32, START_GROUP, VARINT, Field, fields, map_file
from tests.caffe import wire as writer

NUMBERS = np.arange(-3, 4, dtype=np.float32) / 7
END_GROUP = 4


def parsed(data: bytes) -> list[Field]:
    return list(fields(memoryview(data)))


def test_fields_in_order() -> None:
    data = writer.integer(3, 300) + writer.text(1, "a name") + writer.key(7, FIXED32) + b"\0\0\x80\x3f"
    number, text, fixed = parsed(data)
    assert (number.number, number.wire, number.varint) == (3, VARINT, 300)
    assert (text.number, text.wire, text.text) == (1, BYTES, "a name")
    assert fixed.array("<f4").tolist() == [1.0]


def test_packed_is_a_view_of_the_bytes() -> None:
    data = np.frombuffer(bytearray(writer.packed(NUMBERS)), np.uint8)
    (field,) = fields(memoryview(data))
    assert np.array_equal(field.array("<f4"), NUMBERS)
    assert np.shares_memory(field.array("<f4"), data)


@pytest.mark.parametrize("number", [1, 15, 16, 5000])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 63, 64, 65])
def test_unpacked_run_is_one_strided_field(number: int, count: int) -> None:
    array = np.arange(count, dtype="<f4")
    run = b"".join(writer.key(number, FIXED32) + one.tobytes() for one in array)
    before, field, after = parsed(writer.integer(2, 1) + run + writer.integer(2, 9))
    assert field.number == number
    assert field.array("<f4").tolist() == array.tolist()
    assert (before.varint, after.varint) == (1, 9)


def test_unpacked_doubles() -> None:
    run = b"".join(writer.key(8, 1) + one.tobytes() for one in NUMBERS.astype("<f8"))
    (field,) = parsed(run)
    assert np.array_equal(field.array("<f8"), NUMBERS.astype("<f8"))
    with pytest.raises(ValueError, match="elements of 4 bytes"):
        field.array("<f4")


def test_repeated_integers_packed_or_not() -> None:
    packed, single = parsed(writer.message(1, writer.varint(3) + writer.varint(300)) + writer.integer(1, 7))
    assert packed.ints() + single.ints() == [3, 300, 7]


def test_a_group_is_one_field_with_its_end() -> None:
    inner = writer.key(4, START_GROUP) + writer.integer(1, 5) + writer.key(4, END_GROUP)
    content = writer.text(2, "x") + inner + writer.key(6, 1) + bytes(8) + writer.key(9, FIXED32) + bytes(4)
    data = writer.key(3, START_GROUP) + content + writer.key(3, END_GROUP)
    group, after = parsed(data + writer.integer(5, 1))
    assert (group.number, group.wire) == (3, START_GROUP)
    assert bytes(group.bytes) == content + writer.key(3, END_GROUP)
    assert after.varint == 1


def test_nested_groups_do_not_recurse() -> None:
    with pytest.raises(ValueError, match="inside of a group"):
        parsed(writer.key(3, START_GROUP) * 100_000)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (writer.key(5, BYTES) + writer.varint(10**10) + bytes(1000), "claims 10,000,000,000 bytes where only 1,000"),
        (writer.key(5, FIXED32) + b"\0\0", "claims 4 bytes where only 2"),
        (b"\x08\x80", "middle of a number"),
        (b"\x08" + b"\xff" * 11, "middle of a number"),
        (b"\x07", "starts no protobuf field"),
        (b"\x00\x00", "starts no protobuf field"),
        (writer.key(3, END_GROUP), "starts no protobuf field"),
    ],
)
def test_malformed(data: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parsed(data)


def test_a_number_is_no_text_and_text_no_number() -> None:
    number, text = parsed(writer.integer(1, 5) + writer.text(2, "abc"))
    with pytest.raises(ValueError, match="a number where bytes"):
        _ = number.bytes
    with pytest.raises(ValueError, match="bytes where a number"):
        _ = text.varint
    with pytest.raises(ValueError, match="no multiple of 4"):
        text.array("<f4")


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_a_value_error(data: bytes) -> None:
    try:
        found = parsed(data)
    except ValueError:
        return
    assert all(field.number > 0 for field in found)


LAYERS = {
    "conv": ("Convolution", [np.ones((2, 3, 1, 1), np.float32), np.zeros(2, np.float32)]),
    "ip": ("InnerProduct", [NUMBERS.reshape(1, 7)]),
}


@pytest.mark.parametrize("encoding", writer.ENCODINGS)
@given(cut=st.integers(0, 10_000), place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_torn_caffemodel_is_an_error_or_a_smaller_one(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, cut: int, place: int, byte: int
) -> None:
    data = bytearray(writer.caffemodel("net", LAYERS, encoding))
    data[place % len(data)] = byte
    path = tmp_path_factory.getbasetemp() / f"torn_{encoding}.caffemodel"
    path.write_bytes(data[: len(data) - cut % len(data)])
    try:
        blobs = [blob for layer in weights.read(path).values() for blob in layer.values()]
    except ConversionError:
        return
    assert sum(blob.size for blob in blobs) <= len(data)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    for path in (tmp_path / "empty", tmp_path, tmp_path / "missing"):
        with pytest.raises(ConversionError, match="can't read it"):
            map_file(path)
