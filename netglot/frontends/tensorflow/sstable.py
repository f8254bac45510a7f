"""The sorted string table in which TensorFlow keeps the index of a checkpoint.

Format: LevelDB's, doc/table_format.md: blocks of key-value pairs whose keys share prefixes, an index block that lists
them, and a footer of 48 bytes that tells where the index is. Every block carries a CRC-32C.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache

from netglot.frontends.tensorflow.snappy import decompressed
from netglot.frontends.wire import varint

MAGIC = 0xDB4775248B80FB57
MAX_KEYS = 1 << 28  # bytes of all keys: shared prefixes let a small file claim very many
_FOOTER, _TRAILER = 48, 5
_PLAIN, _SNAPPY = 0, 1


def table(view: memoryview) -> dict[bytes, memoryview]:
    """Every key with its value, which is a view. ValueError where the bytes are no whole table."""
    if len(view) < _FOOTER or int.from_bytes(view[-8:], "little") != MAGIC:
        raise ValueError("it doesn't end as an index of a checkpoint does (truncated, or another kind of file?)")
    footer = view[-_FOOTER:-8]
    _, _, at = _handle(footer, 0)
    offset, size, _ = _handle(footer, at)
    return dict(_pairs(view, _block(view, offset, size)))


def _pairs(view: memoryview, index: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The pairs of all blocks, which must lie one behind the other: none is read twice."""
    end = keys = 0
    for _, value in _entries(index):
        offset, size, _ = _handle(value, 0)
        if offset < end:
            raise ValueError(f"its blocks overlap at byte {offset:,}")
        end = offset + size
        for key, found in _entries(_block(view, offset, size)):
            keys += len(key)
            if keys > MAX_KEYS:
                raise ValueError(f"its keys are longer than {MAX_KEYS:,} bytes together")
            yield key, found


def _handle(view: memoryview, at: int) -> tuple[int, int, int]:
    """(where a block begins, its size, where this handle ends)."""
    offset, at = varint(view, at)
    size, at = varint(view, at)
    return offset, size, at


def _block(view: memoryview, offset: int, size: int) -> memoryview:
    """The content of a block, once its checksum is right."""
    if offset + size + _TRAILER > len(view) - _FOOTER:
        raise ValueError(f"a block claims bytes {offset:,} to {offset + size:,} of a file of {len(view):,}")
    kind, checksum = struct.unpack("<BI", view[offset + size : offset + size + _TRAILER])
    if masked(crc32c(view[offset : offset + size + 1])) != checksum:
        raise ValueError(f"the block at byte {offset:,} is damaged: its checksum is wrong")
    if kind not in (_PLAIN, _SNAPPY):
        raise ValueError(f"the block at byte {offset:,} is compressed in an unknown way ({kind})")
    content = view[offset : offset + size]
    return content if kind == _PLAIN else memoryview(decompressed(content))


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The pairs of a block. The array of restarts behind them only serves a binary search."""
    at, end = 0, _end_of_entries(block)
    key = b""
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        size, at = varint(block, at)
        if shared > len(key) or at + own + size > end:
            raise ValueError("an entry of a block leaves the block")
        key = key[:shared] + bytes(block[at : at + own])
        yield key, block[at + own : at + own + size]
        at += own + size


def _end_of_entries(block: memoryview) -> int:
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if len(block) < 4 or end < 0:
        raise ValueError(f"a block of {len(block):,} bytes claims {restarts:,} restarts")
    return end


def masked(checksum: int) -> int:
    """A checksum as it is stored: so that one of data that holds checksums is no special case."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: memoryview) -> int:
    """CRC-32C (Castagnoli; RFC 3720, B.4)."""
    table_of_bytes = _crc_table()
    checksum = 0xFFFFFFFF
    for byte in bytes(data):
        checksum = table_of_bytes[(checksum ^ byte) & 0xFF] ^ checksum >> 8
    return checksum ^ 0xFFFFFFFF


@cache
def _crc_table() -> list[int]:
    return [_crc_of_byte(byte) for byte in range(256)]


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte
