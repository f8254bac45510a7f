"""Samples to calibrate or evaluate on: images, .npz and .npy files, and whatever Python can iterate over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain, islice
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.ir import types
from netglot.ir.graph import Value
from netglot.quantize import arrays, images
from netglot.runtimes.base import Tensor

Item = Mapping[str, Any]  # what one sample holds for every input, as it was given
Arrays = dict[str, np.ndarray]
FEW = 64  # samples
Input = Tensor | Value


class Items(Protocol):
    """Where samples come from."""

    labels: np.ndarray | None

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...
    def first(self) -> Item: ...
    def origin(self, index: int) -> Origin: ...


class Samples:
    """Sets of inputs as the model takes them, in the same order each time one goes through them.

    `batch`: how many items each holds. `labels`: the class of every item, in order (sample i holds those from i * batch
    on), where the source tells them. Each is read when it is its turn; none is kept.
    """

    def __init__(self, source: Iterable[Arrays], count: int, batch: int, labels: np.ndarray | None = None) -> None:
        self._source, self._count, self.batch = source, count, batch
        self.labels = None if labels is None else labels[: count * batch]

    def __len__(self) -> int:
        return self._count

    @property
    def items(self) -> int:
        """In all samples together."""
        return self._count * self.batch

    def __iter__(self) -> Iterator[Arrays]:
        return iter(self._source)


class Few:
    """The first samples of a set, and their labels: enough to compare ways to quantise, and to measure each tensor."""

    def __init__(self, samples: Samples, count: int = FEW) -> None:
        self._samples, self._count = samples, min(count, len(samples))
        self.labels = None if samples.labels is None else samples.labels[: self._count * samples.batch]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Arrays]:
        return islice(iter(self._samples), self._count)


def of_images(data: Any) -> bool:
    """Whether `data` names an image or a folder of them."""
    is_path = isinstance(data, (str, Path))
    return is_path and (Path(data).is_dir() or Path(data).suffix.lower() in images.SUFFIXES)


def open_samples(data: Any, inputs: Sequence[Input], preprocess: str = "") -> Samples:
    """The samples in `data`, with an array of the input's full shape and type for each of `inputs`.

    `data`: a folder of images (sorted by name; or of folders of images, whose place in the order is the label), an
    image, an .npz (arrays named as the inputs, the first axis counts the items; `labels` are labels), an .npy (of the
    only input), a dict of such arrays, or an iterable of dicts (of arrays, for a model of one input) with an integer
    `labels` in each or in none. One that can be gone through only once is written to a temporary file.

    Items without the batch axis get one: as many as the model's fixed batch go together (the last ones are left out
    where they are too few for another batch, so that none counts twice), one where the batch is open. Items that have
    it are taken as they are. Images are made fit as `preprocess` says: see images.Preprocess.

    ConversionError, with the place, for data that is empty, unreadable, has other shapes than the model takes, or holds
    NaN, infinities or numbers that the input's type does not have.
    """
    if isinstance(data, Samples):
        return data
    if isinstance(data, (str, Path)) and not Path(data).exists():
        raise ConversionError("there is no such file or folder", Origin(str(data)))
    if of_images(data):
        return _samples(images.open_images(Path(data), inputs, preprocess), inputs)
    if preprocess:
        what = f"preprocessing ('{preprocess}') is for images; arrays are taken as they are"
        raise ConversionError(what, hint="Leave it out, or give a folder of images.")
    if isinstance(data, (str, Path)):
        return _samples(arrays.open_file(Path(data), [item.name for item in inputs]), inputs)
    if isinstance(data, (Mapping, np.ndarray)):
        return _samples(arrays.of_arrays(data, [item.name for item in inputs]), inputs)
    if not isinstance(data, Iterable):
        raise ConversionError(f"a {type(data).__name__} is no samples", hint="Give a path, arrays or an iterable.")
    return _of_iterable(data, inputs)


def _samples(items: Items, inputs: Sequence[Input]) -> Samples:
    if not len(items):
        raise ConversionError("there are no samples", items.origin(0))
    batch = _batch(inputs, items.first(), items.origin(0))
    fitted = _Fitted(items, inputs, batch, items.origin)
    return Samples(fitted, _whole_batches(len(items), batch, items.origin(0)), batch, items.labels)


def _of_iterable(data: Iterable[Any], inputs: Sequence[Input]) -> Samples:
    once = iter(data)
    first = next(once, None)
    if first is None:
        raise ConversionError("there are no samples", hint="The iterable gives nothing.")
    names = [item.name for item in inputs]
    item = _item(first, names)
    batch = _batch(inputs, item, Origin())
    is_labelled = arrays.LABELS in item and arrays.LABELS not in names
    labels: list[int] | None = [] if is_labelled else None
    if once is not data:
        count = len(data) if isinstance(data, Sized) and not is_labelled else _counted(_Named(data, names), labels)
        fitted = _Fitted(_Named(data, names), inputs, batch)
        return Samples(fitted, _whole_batches(count, batch, Origin()), batch, _as_labels(labels))
    spool = _Spool(_Fitted(_noted(_Named(chain([first], once), names), labels), inputs, batch))
    if not len(spool):
        raise _too_few(batch, "not as many")
    return Samples(spool, len(spool), batch, _as_labels(labels))


def _counted(items: Iterable[Item], labels: list[int] | None) -> int:
    return sum(1 for _ in _noted(items, labels))


def _noted(items: Iterable[Item], labels: list[int] | None) -> Iterator[Item]:
    """The items as they are; their labels are added to `labels`, where there are some."""
    for index, item in enumerate(items):
        if labels is not None:
            labels.append(_label(item.get(arrays.LABELS), index))
        yield item


def _label(given: Any, index: int) -> int:
    array = np.asarray(given)
    if array.dtype.kind not in "iu" or array.size != 1 or array.item() < 0:
        what = f"sample {index}: '{arrays.LABELS}' is {given!r:.40}; expected one integer, 0 or more"
        raise ConversionError(what, hint="Leave them out of all samples, or give each its own.")
    return int(array.item())


def _as_labels(labels: list[int] | None) -> np.ndarray | None:
    return None if labels is None else np.asarray(labels, np.int64)


def _item(given: Any, names: Sequence[str]) -> Item:
    """Arrays by the names of the inputs; what is not a dict is the array of the only input."""
    if isinstance(given, Mapping):
        return given
    if len(names) == 1 and hasattr(given, "__array__"):
        return {names[0]: given}
    what = f"a sample is a {type(given).__name__}; expected a dict of arrays by the names of the inputs"
    raise ConversionError(what, hint=f"The inputs are {', '.join(names)}.")


class _Named:
    """Items of an iterable as dicts."""

    def __init__(self, data: Iterable[Any], names: Sequence[str]) -> None:
        self._data, self._names = data, names

    def __iter__(self) -> Iterator[Item]:
        return (_item(given, self._names) for given in self._data)


# ------------------------------------------------------------------------ batches


def _batch(inputs: Sequence[Input], first: Item, origin: Origin) -> int:
    """How many items make a sample. Shapes are checked here, before anything large is read."""
    wanted: dict[int, str] = {}
    for item in inputs:
        shape = np.shape(_given(item, first, 0, origin))
        _require_shape(item, shape, 0, origin)
        wanted.setdefault(_count(item, shape), item.name)
    if len(wanted) > 1:
        text = ", ".join(f"{count} for '{name}'" for count, name in wanted.items())
        raise ConversionError(f"the inputs take different numbers of items at once: {text}", origin)
    return next(iter(wanted), 1)


def _count(wanted: Input, shape: Sequence[int]) -> int:
    """Items of this shape that the input takes at once."""
    size = wanted.shape[0] if wanted.shape else None
    return size if isinstance(size, int) and _is_single(wanted, shape) else 1


def _is_single(wanted: Input, shape: Sequence[int]) -> bool:
    """Whether it lacks the batch axis."""
    return wanted.shape is not None and len(shape) == len(wanted.shape) - 1


def _whole_batches(count: int, batch: int, origin: Origin) -> int:
    if count < batch:
        raise _too_few(batch, f"only {count}", origin)
    return count // batch


def _too_few(batch: int, count: str, origin: Origin = Origin()) -> ConversionError:
    what = f"the model takes {batch} items at once, there are {count}"
    return ConversionError(what, origin, "Give more of them, or a model with an open batch.")


def _given(wanted: Input, item: Item, index: int, origin: Origin) -> Any:
    if wanted.name not in item:
        hint = f"There are: {', '.join(map(str, islice(item, 10))) or 'none'}."
        raise ConversionError(f"sample {index} has no array for the input '{wanted.name}'", origin, hint)
    return item[wanted.name]


def _require_shape(wanted: Input, shape: Sequence[int], index: int, origin: Origin) -> None:
    if wanted.shape is None:
        return
    sizes = wanted.shape[_is_single(wanted, shape) :]
    if len(sizes) != len(shape) or any(isinstance(a, int) and a != b for a, b in zip(sizes, shape, strict=True)):
        text = f"has shape {types.text(shape)}, the model takes {types.text(wanted.shape)}"
        raise ConversionError(f"sample {index}: '{wanted.name}' {text}", origin, "The batch axis may be left out.")


class _Fitted:
    """Arrays as the model takes them, of items as they were given."""

    def __init__(
        self, items: Iterable[Item], inputs: Sequence[Input], batch: int,
        origin: Callable[[int], Origin] = lambda _: Origin(),
    ) -> None:  # fmt: skip
        self._items, self._inputs, self._batch, self._origin = items, inputs, batch, origin

    def __iter__(self) -> Iterator[Arrays]:
        items, start = iter(self._items), 0
        while len(group := list(islice(items, self._batch))) == self._batch:
            yield {wanted.name: self._stacked(wanted, group, start) for wanted in self._inputs}
            start += self._batch

    def _stacked(self, wanted: Input, group: Sequence[Item], start: int) -> np.ndarray:
        parts = [self._part(wanted, item, start + i) for i, item in enumerate(group)]
        odd = next((i for i, part in enumerate(parts) if part.shape != parts[0].shape), None)
        if odd is not None:
            text = f"has shape {types.text(parts[odd].shape)}, those before {types.text(parts[0].shape)}"
            raise ConversionError(f"sample {start + odd}: '{wanted.name}' {text}", self._origin(start + odd))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _part(self, wanted: Input, item: Item, index: int) -> np.ndarray:
        """With its batch axis."""
        origin = self._origin(index)
        array = np.asarray(_given(wanted, item, index, origin))
        _require_shape(wanted, array.shape, index, origin)
        if _count(wanted, array.shape) != self._batch:
            what = f"sample {index}: '{wanted.name}' has a batch axis, or lacks one, unlike the first"
            raise ConversionError(what, origin)
        array = converted(array, wanted.dtype, f"sample {index}: '{wanted.name}'", origin)
        return array[None] if _is_single(wanted, array.shape) else array


# ------------------------------------------------------------------------ numbers


def converted(array: np.ndarray, dtype: np.dtype | None, where: str, origin: Origin) -> np.ndarray:
    """`array` as `dtype`; ConversionError where that would change more than its precision."""
    if array.dtype.kind not in "biuf" and array.dtype.isbuiltin != 2:  # 2: those of ml_dtypes
        raise ConversionError(f"{where} holds {array.dtype}, not numbers", origin)
    if dtype is None:
        dtype = array.dtype
    if not _all_finite(array):
        raise ConversionError(f"{where} holds NaN or infinity", origin)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.astype(dtype)
    is_exact = dtype.kind not in "biu" or np.array_equal(result, array)
    if not is_exact or not _all_finite(result):
        span = f"{array.min()} to {array.max()}" if array.size else "nothing"
        what = f"{where} has numbers that {types.name_of(dtype)} can't hold (they are {span})"
        raise ConversionError(what, origin)
    return result


def _all_finite(array: np.ndarray) -> bool:
    """One pass without a mask, which is what large arrays need: NaN and infinities survive a minimum and a maximum."""
    if array.dtype.kind in "biu" or not array.size:
        return True
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


# ---------------------------------------------------------------- one-shot iterators

_Place = tuple[int, np.dtype, tuple[int, ...]]  # offset, type, shape


class _Spool:
    """Samples on disk, for those that can be gone through only once; in memory is where each array lies."""

    def __init__(self, samples: Iterable[Arrays]) -> None:
        self._file = tempfile.TemporaryFile(prefix="netglot-")  # noqa: SIM115 (it lives as long as the samples)
        self._places = [{name: self._write(array) for name, array in sample.items()} for sample in samples]

    def _write(self, array: np.ndarray) -> _Place:
        place = self._file.tell(), array.dtype, array.shape
        self._file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return place

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Arrays]:
        for places in self._places:
            yield {name: self._read(*place) for name, place in places.items()}

    def _read(self, offset: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        self._file.seek(offset)
        return np.frombuffer(bytearray(self._file.read(prod(shape) * dtype.itemsize)), dtype).reshape(shape)
