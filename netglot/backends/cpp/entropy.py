"""Codes the constants of a model without loss; the generated code decodes them once, when a model is made.

What is written, as runtime/entropy.h reads it (numbers little-endian, sizes as LEB128):

    stream    : table for each constant
    table     : byte = log2 of the element's bytes | 4 if there is a codebook, elements, [codebook], block...
    codebook  : values - 1 as a byte, order as a byte, bits: exponential Golomb codes of the gaps between sorted values
    block     : up to BLOCK elements: byte = DENSE, plane...
              | byte = MASKED, two planes: the mask's even and odd bytes, plane...
              | byte = SCALED, rows as a byte, scales as four planes, plane
    plane     : byte = RAW, bytes | CONSTANT, byte | CODED, frequencies, states (LANES x 4 bytes), words (2 bytes each)
    frequencies: first and last symbol, order | shift << 4, bits: exponential Golomb codes of zigzagged differences

A mask has a bit for each element, least significant first: whether it is other than zero; then only those follow. So
the zeros that fill the panels of packing.py cost nothing: they make the same two bytes again and again. Elements have
one plane for each of their bytes, after a rotation by one bit that unites the exponent of a float; with a codebook they
have one, of indices. What is scaled are integers of 8 bits, in rows of 16 of which so many have 16 scales in common.

The entropy coder is rANS (Duda, "Asymmetric numeral systems", arXiv:1311.2540) with frequencies that sum to 2^14,
states of 32 bits in LANES that take turns (Giesen, "Interleaved entropy coders", arXiv:1402.3392), and words of 16
bits. Frequencies are static: adaptive ones would save 0.4 % of a pruned SqueezeNet, contexts of its mask another 0.2 %
(by their ideal code lengths), for a decoder that takes each bit by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

BLOCK = 1 << 16  # elements; entropy.h: block
WORKSPACE = 27 << 10  # bytes; entropy.h: the size of Unpacker, rounded up
RAW, CONSTANT, CODED = 0, 1, 2  # entropy.h: Plane
DENSE, MASKED, SCALED = 0, 1, 2  # entropy.h: Block

_PRECISION = 14  # bits of a frequency; entropy.h: precision
_LANES = 4  # entropy.h: lanes
_LOWEST = 1 << 16  # state; entropy.h: lowest
_WORTH = 63 / 64  # of what is not coded: decoding takes time
_BATCH = 1 << 22  # symbols that are coded side by side
_NEUTRAL = 256  # a symbol of frequency 1: it changes no state
_HAS_CODEBOOK, _MOST_VALUES, _PROBED = 4, 256, 4096
_LANES_OF_PANEL, _ROWS, _LARGEST, _PROBED_GROUPS = 16, (128, 64, 32), 8, 4  # of scaled integers


@dataclass(frozen=True)
class Symbols:
    """Bytes that are still to be coded, and how often each value occurs, in parts of 2^14; `size`: what is expected."""

    data: np.ndarray
    frequencies: np.ndarray
    size: float


Part = bytes | Symbols


def encode(constants: Sequence[np.ndarray]) -> Iterator[bytes]:
    """The coded stream of the constants (C order), in pieces. Memory stays within a few tables of the largest."""
    waiting, pending = list[Part](), 0
    for array in constants or [np.empty(0, np.uint8)]:
        for parts in _table(np.ascontiguousarray(array, array.dtype.newbyteorder("<"))):
            waiting += parts
            pending += sum(part.data.size if isinstance(part, Symbols) else len(part) // 8 for part in parts)
            if pending >= _BATCH:
                yield from _written(waiting)
                waiting, pending = [], 0
    yield from _written(waiting)


def _written(parts: Sequence[Part]) -> Iterator[bytes]:
    coded = iter(code([part for part in parts if isinstance(part, Symbols)]))
    yield b"".join(next(coded) if isinstance(part, Symbols) else part for part in parts)


# ----------------------------------------------------------------------- tables


def _table(array: np.ndarray) -> Iterator[list[Part]]:
    size = array.dtype.itemsize
    words = array.reshape(-1).view(np.dtype(f"<u{size}"))
    codebook = _codebook(words)
    scaled = _scaled(words) if codebook is None and array.dtype == np.float32 else None
    head = bytes([size.bit_length() - 1 | (_HAS_CODEBOOK if codebook is not None else 0)]) + _leb128(words.size)
    yield [head if codebook is None else head + _codebook_bytes(codebook)]
    for start in range(0, words.size, BLOCK):
        part = words[start : start + BLOCK]
        yield _block(part, codebook) if scaled is None else _scaled_block(part, *scaled, start)


def _block(words: np.ndarray, codebook: np.ndarray | None) -> list[Part]:
    """Elements as they are, or those that are not zero and where they stand, whichever is smaller."""
    whole = [bytes([DENSE]), *_planes(words, codebook)]
    live = words != 0
    if live.all():
        return whole
    mask = np.packbits(live, bitorder="little")
    masked = [bytes([MASKED]), *plane(mask[0::2]), *plane(mask[1::2]), *_planes(words[live], codebook)]
    return min(whole, masked, key=_size)


def _planes(words: np.ndarray, codebook: np.ndarray | None) -> list[Part]:
    if codebook is not None:
        return plane(np.searchsorted(codebook, words).astype(np.uint8))
    size = words.dtype.itemsize
    rotated = words << 1 | words >> (8 * size - 1) if size > 1 else words
    columns = rotated.view(np.uint8).reshape(-1, size)
    return [part for i in range(size) for part in plane(columns[:, i])]


def plane(symbols: np.ndarray) -> list[Part]:
    """Bytes [n] as they are or coded, whichever is smaller by enough."""
    if symbols.size == 0:
        return []
    counts = np.bincount(symbols, minlength=256)
    if counts.max() == symbols.size:
        return [bytes([CONSTANT, symbols[0]])]
    raw: list[Part] = [bytes([RAW]), symbols.tobytes()]
    if _coded_size(counts, counts / symbols.size) >= _WORTH * symbols.size:
        return raw
    table = min(_tables(counts), key=lambda table: table.size + _coded_size(counts, table.shares))
    frequencies = table.frequencies << table.shift
    coded: list[Part] = [
        bytes([CODED]), table.written(), Symbols(symbols, frequencies, 4 * _LANES + _coded_size(counts, table.shares)),
    ]  # fmt: skip
    return coded if _size(coded) < _WORTH * symbols.size else raw


def _coded_size(counts: np.ndarray, shares: np.ndarray) -> float:
    """Bytes of symbols that occur so often, if they are coded as if they had these shares of all."""
    used = counts > 0
    return float(-(counts[used] @ np.log2(shares[used]))) / 8


def _size(parts: Sequence[Part]) -> float:
    return sum(part.size if isinstance(part, Symbols) else len(part) for part in parts)


# ----------------------------------------------------- integers with many scales


def _scaled_block(words: np.ndarray, scales: np.ndarray, rows: int, start: int) -> list[Part]:
    """Weights [groups * rows * 16] as integers, with their scales [groups, 16], of which `start` weights are over."""
    size = rows * _LANES_OF_PANEL
    own = scales[start // size : (start + words.size) // size]
    factors = np.where(own > 0, own, np.float32(1))[:, None]
    codes = np.round(words.view(np.float32).reshape(-1, rows, _LANES_OF_PANEL) / factors).astype(np.int8)
    scale_planes = _planes(own.reshape(-1).view(np.dtype("<u4")), None)
    return [bytes([SCALED, rows]), *scale_planes, *plane(codes.reshape(-1).view(np.uint8))]


def _scaled(words: np.ndarray) -> tuple[np.ndarray, int] | None:
    """(scales [groups, 16], rows) of panels of floats that are integers of 4 bits times those, to the bit."""
    for rows in _ROWS:
        if words.size == 0 or words.size % (rows * _LANES_OF_PANEL):
            continue
        groups = words.view(np.float32).reshape(-1, rows, _LANES_OF_PANEL)
        if _scales(groups[:_PROBED_GROUPS]) is not None and (scales := _scales(groups)) is not None:
            return scales, rows
    return None


def _scales(groups: np.ndarray) -> np.ndarray | None:
    """Of each column [groups, 16]: its largest number divided by an integer, give or take a rounding."""
    columns = np.ascontiguousarray(groups.swapaxes(1, 2)).reshape(-1, groups.shape[1])
    peaks, scales = np.abs(columns).max(axis=1), np.zeros(len(columns), np.float32)
    if not np.isfinite(peaks).all():
        return None
    left = np.flatnonzero(columns.view(np.uint32).any(axis=1))
    for divisor, beyond in product(range(_LARGEST, 0, -1), (0, -np.inf, np.inf)):
        trial = peaks[left] / np.float32(divisor)
        trial = np.nextafter(trial, np.float32(beyond)) if beyond else trial
        fits = _are_multiples(columns[left], trial)
        scales[left[fits]] = trial[fits]
        left = left[~fits]
    return None if left.size else scales.reshape(len(groups), _LANES_OF_PANEL)


def _are_multiples(columns: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Which columns are integers times their scale, to the bit: no integer is -0."""
    with np.errstate(all="ignore"):
        products = (np.round(columns / scales[:, None]) + np.float32(0)) * scales[:, None]
    equal: np.ndarray = (products.view(np.uint32) == columns.view(np.uint32)).all(axis=1)
    return equal


# --------------------------------------------------------- codebook, frequencies


def _codebook(words: np.ndarray) -> np.ndarray | None:
    """The sorted values of a table that has few of them, if its elements are such that indices are smaller."""
    if words.dtype.itemsize not in (2, 4) or len(np.unique(words[:_PROBED])) > _MOST_VALUES:
        return None
    values = np.unique(words)
    pays = len(values) <= _MOST_VALUES and len(values) * 2 <= words.size
    return values if pays and words.size else None


def _codebook_bytes(codebook: np.ndarray) -> bytes:
    gaps = np.diff(codebook.astype(np.int64), prepend=-1) - 1
    order = _best_order(gaps)
    return bytes([len(codebook) - 1, order]) + _golomb(gaps, order)


@dataclass(frozen=True)
class _Table:
    """Frequencies that sum to 2^(14 - shift): the coarser they are, the fewer bits they are written with."""

    frequencies: np.ndarray
    shift: int

    @property
    def shares(self) -> np.ndarray:
        return self.frequencies / (1 << _PRECISION - self.shift)

    @cached_property
    def ends(self) -> tuple[int, int]:
        used = np.flatnonzero(self.frequencies)
        return int(used[0]), int(used[-1])

    @cached_property
    def steps(self) -> np.ndarray:
        """From one frequency to the next; signs are in the lowest bit."""
        first, last = self.ends
        steps = np.diff(self.frequencies[first : last + 1], prepend=0)
        return np.where(steps < 0, -2 * steps - 1, 2 * steps)

    @property
    def size(self) -> float:
        return 3 + _golomb_bits(self.steps, _best_order(self.steps)) / 8

    def written(self) -> bytes:
        order = _best_order(self.steps)
        return bytes([*self.ends, order | self.shift << 4]) + _golomb(self.steps, order)


def _tables(counts: np.ndarray) -> list[_Table]:
    least = max(6, int(np.count_nonzero(counts) - 1).bit_length())
    shifts = range(0, _PRECISION - least, 2)
    return [_Table(normalised(counts, 1 << _PRECISION - shift), shift) for shift in shifts]


def normalised(counts: np.ndarray, total: int) -> np.ndarray:
    """Integers as near as can be to `counts`' proportions that sum to `total`, at least 1 where a count is.

    What rounding leaves over goes where it changes the coded size least, or most to the better.
    """
    ideal = counts * (total / counts.sum())
    found = np.where(counts > 0, np.maximum(1, np.floor(ideal + 0.5)), 0).astype(np.int64)
    while (left := total - int(found.sum())) != 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = counts * np.abs(np.log2((found + np.sign(left)) / found))
        worth[(counts == 0) | ((found == 1) & (left < 0))] = np.inf if left < 0 else -np.inf
        order = np.argsort(worth if left < 0 else -worth)[: min(abs(left), max(1, np.count_nonzero(counts) // 8))]
        found[order[np.isfinite(worth[order])]] += np.sign(left)
    return found


# ------------------------------------------------------------------------- bits


def _best_order(numbers: np.ndarray) -> int:
    """Of the exponential Golomb codes that are the shortest for `numbers`."""
    orders = range(int(numbers.max(initial=0)).bit_length() + 1)
    return min(orders, key=lambda order: _golomb_bits(numbers, order))


def _golomb_bits(numbers: np.ndarray, order: int) -> int:
    """The length of all codes."""
    lengths = np.frexp(((numbers >> order) + 1).astype(np.float64))[1]
    return int(2 * lengths.sum() + (order - 1) * numbers.size)


def _golomb(numbers: np.ndarray, order: int) -> bytes:
    """Exponential Golomb codes, bits filling bytes from the least significant: zeros, the quotient + 1, the rest."""
    texts = (f"{(n >> order) + 1:b}" for n in numbers.tolist())
    rests = (f"{n & (1 << order) - 1:0{order}b}" if order else "" for n in numbers.tolist())
    bits = "".join("0" * (len(text) - 1) + text + rest for text, rest in zip(texts, rests, strict=True))
    return np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord("0"), bitorder="little").tobytes()


def _leb128(number: int) -> bytes:
    written = bytearray()
    while number >= 128:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


# ------------------------------------------------------------------------- rANS


def code(streams: Sequence[Symbols]) -> list[bytes]:
    """Each stream's states and words; those of like length are coded side by side."""
    alike: dict[int, list[int]] = defaultdict(list)
    for i, stream in enumerate(streams):
        alike[len(stream.data).bit_length()].append(i)
    found = [b""] * len(streams)
    for places in alike.values():
        for i, coded in zip(places, _code([streams[i] for i in places]), strict=True):
            found[i] = coded
    return found


def _code(streams: Sequence[Symbols]) -> list[bytes]:
    """All at once, from their ends: a step of NumPy takes every lane of every stream on by one symbol."""
    steps = -(-max(len(stream.data) for stream in streams) // _LANES)
    symbols = np.full((len(streams), steps * _LANES), _NEUTRAL, np.uint32)
    for row, stream in zip(symbols, streams, strict=True):
        row[: len(stream.data)] = stream.data
    symbols += (np.arange(len(streams), dtype=np.uint32) * (_NEUTRAL + 1))[:, None]
    lanes = np.ascontiguousarray(symbols.reshape(len(streams), steps, _LANES).swapaxes(0, 1))
    frequencies = np.stack([np.append(stream.frequencies, 1 << _PRECISION) for stream in streams]).astype(np.uint32)
    starts = (np.cumsum(frequencies, axis=1) - frequencies).astype(np.uint32)
    starts[:, _NEUTRAL] = 0
    states, words, emitted = _run(lanes, frequencies.ravel(), starts.ravel())
    return [states[i].tobytes() + words[:, i][emitted[:, i]].tobytes() for i in range(len(streams))]


def _run(lanes: np.ndarray, frequencies: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States [streams, LANES] after all steps, and words [steps, streams, LANES] with which of them were emitted."""
    states = np.full(lanes.shape[1:], _LOWEST, "<u4")
    words, emitted = np.empty(lanes.shape, "<u2"), np.empty(lanes.shape, np.bool_)
    for step in range(len(lanes) - 1, -1, -1):
        frequency = frequencies[lanes[step]]
        np.greater_equal(states >> (32 - _PRECISION), frequency, out=emitted[step])
        words[step] = states
        states >>= emitted[step] * np.uint32(16)
        quotient = states // frequency
        states -= quotient * frequency
        states += (quotient << _PRECISION) + starts[lanes[step]]
    return states, words, emitted
