"""Fewer bytes for the weights: `--compress lossless | prune:0.6 | palettize:4 | prune:0.6+palettize:4`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from netglot.errors import ConversionError, Problem
from netglot.ir.graph import Graph
from netglot.passes.decompress import COMPRESSED, decompress
from netglot.passes.stored_weights import FORMS, Forms, Weight, store, stored, weights
from netglot.quantize.palette import palettize
from netglot.quantize.prune import shares, without_smallest

SMALLEST = 64  # elements: smaller constants are not worth a form of their own


@dataclass(frozen=True)
class Spec:
    """What `--compress` asks for. prune: the share of the weights that becomes zero. bits: of a palette's index."""

    prune: float = 0.0
    bits: int | None = None


@dataclass(frozen=True)
class CompressedTensor:
    """What became of one weight.

    before, after: bytes as it was and in the least that a store without knowledge of other tensors needs (see
    `stored_bytes`). sqnr: signal to noise in dB, infinite where nothing changed. values: how many it takes. zeros: the
    share of its elements that is zero. form: the operator that stores it in the graph, "" for a dense constant.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    before: int
    after: int
    sqnr: float
    values: int
    zeros: float
    form: str = ""


@dataclass(frozen=True)
class Compression:
    """What became of the weights of a graph."""

    spec: str
    tensors: list[CompressedTensor] = field(default_factory=list)

    @property
    def before(self) -> int:
        return sum(tensor.before for tensor in self.tensors)

    @property
    def after(self) -> int:
        return sum(tensor.after for tensor in self.tensors)

    @property
    def ratio(self) -> float:
        """How many times smaller the weights can be stored; 1 where there are none."""
        return self.before / self.after if self.after else 1.0


def parse(text: str) -> Spec:
    """Raises ConversionError for anything but `lossless`, or `prune:SHARE` and `palettize:BITS` joined by +."""
    parts = [part.strip() for part in text.split("+")]
    if parts == ["lossless"]:
        return Spec()
    names = [part.partition(":")[0] for part in parts]
    unknown = [name for name in names if name not in ("prune", "palettize")]
    if unknown:
        raise _refused(text, _unknown(unknown[0]))
    if len(set(names)) < len(names):
        raise _refused(text, f"{names[0]} stands there twice")
    given = dict(zip(names, (part.partition(":")[2] for part in parts), strict=True))
    share = _share(text, given["prune"]) if "prune" in given else 0.0
    return Spec(share, _bits(text, given["palettize"]) if "palettize" in given else None)


def _unknown(name: str) -> str:
    return "lossless changes no weight, and so goes with nothing else" if name == "lossless" else f"what is '{name}'?"


def _share(text: str, number: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise _refused(text, f"prune takes the share of the weights that becomes zero, 0 to below 1, not '{number}'")
    return share


def _bits(text: str, number: str) -> int:
    if not number.isdecimal() or not 1 <= int(number) <= 8:
        raise _refused(text, f"palettize takes the bits of an index, 1 to 8, not '{number}'")
    return int(number)


def _refused(text: str, why: str) -> ConversionError:
    hint = "Possible: lossless, prune:0.6, palettize:4, prune:0.6+palettize:4"
    return ConversionError(f"--compress {text}: {why}", hint=hint)


def compress(graph: Graph, spec: str, *, forms: Forms = FORMS, keep: Collection[str] = ()) -> Compression:
    """Prunes and palettises the weights of `graph`, in place, and stores them in those of `forms` that are smaller.

    spec: see `parse`. forms: what the target has of "Palette" and "Sparse"; without any all weights stay dense
    constants, which the C++ writer's entropy coder takes, and `lossless` then changes nothing. Weights are the
    floating-point constants of at least 64 elements that convolutions, products, recurrences and embeddings read; those
    with an infinity or NaN stay as they are. So do those that are quantised already, with a warning; palettes and
    sparse weights are made anew. keep: names of weights that stay as they are; the others become the same without it.
    """
    asked = parse(spec)
    if asked != Spec():
        open_stored(graph)
    found = [weight for weight in weights(graph) if _is_worth_it(weight.value.array)]
    counts = shares([weight.value.array for weight in found], asked.prune)
    chosen = [item for item in zip(found, counts, strict=True) if item[0].value.name not in keep]
    return Compression(spec, [_compress(*item, asked, forms) for item in chosen])


def open_stored(graph: Graph) -> None:
    """Makes stored weights dense, so that what is asked for holds for them, too."""
    packed = {weight.value for weight in stored(graph, *COMPRESSED)}
    decompress(graph, where=lambda _, node: node.output in packed)
    if left := stored(graph, "DequantizeLinear"):
        what = f"{len(left)} weights are quantised already and stay as they are ('{left[0].value.name}' is the first)"
        graph.warnings.append(Problem(f"--compress: {what}", left[0].reader.origin))


def _is_worth_it(w: np.ndarray) -> bool:
    return w.size >= SMALLEST and bool(np.isfinite(w).all())


def _compress(weight: Weight, count: int, spec: Spec, forms: Forms) -> CompressedTensor:
    value = weight.value
    original = value.array
    w = without_smallest(original, count) if count else original
    if spec.bits is not None and _palette_bytes(w, spec.bits) < w.nbytes:
        w = palettize(w, spec.bits)
    value.data = w
    name, is_stored = value.name, store(weight, _forms(forms, spec))
    maker = weight.graph.producer(weight.graph[name]) if is_stored else None
    after, values = stored_bytes(w)
    return CompressedTensor(
        name, weight.reader.name, w.shape, original.nbytes, after, _sqnr(original, w), values,
        1 - np.count_nonzero(w) / w.size, maker.op if maker else "",
    )  # fmt: skip


def _forms(forms: Forms, spec: Spec) -> Forms:
    """Palettised weights are palettes, pruned or not: one table of 2^bits entries with zero among them."""
    is_one = spec.bits is not None and "Palette" in forms
    return {"Palette": forms["Palette"]} if is_one else forms


def _palette_bytes(w: np.ndarray, bits: int) -> int:
    return -(-w.size * bits // 8) + (w.itemsize << bits) + FORMS["Palette"]


def stored_bytes(w: np.ndarray) -> tuple[int, int]:
    """(bytes, number of values) of `w` in the least of: as it is; a codebook and indices at their zero-order entropy;
    the places of zeros at their entropy and all others as they are."""
    _, counts = np.unique(np.ascontiguousarray(w).view(f"u{w.itemsize}"), return_counts=True)
    indices = _entropy(counts) / 8 + counts.size * w.itemsize
    used = int(np.count_nonzero(w))
    places = _entropy(np.array([used, w.size - used])) / 8 + used * w.itemsize
    return min(w.nbytes, int(np.ceil(indices)), int(np.ceil(places))), counts.size


def _entropy(counts: np.ndarray) -> float:
    """Bits that an order-0 code of so many symbols of each kind needs."""
    taken = counts[counts > 0].astype(np.float64)
    return float(np.sum(taken * np.log2(taken.sum() / taken)))


def _sqnr(original: np.ndarray, w: np.ndarray) -> float:
    noise = float(np.sum(np.square(original.astype(np.float64) - w)))
    signal = float(np.sum(np.square(original, dtype=np.float64)))
    return float("inf") if noise == 0 else 10 * float(np.log10(signal / noise))
