"""Images as a network takes them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.ir import types
from netglot.ir.graph import Value
from netglot.runtimes.base import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

# What Pillow decodes itself; it would start Ghostscript for others.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MAX_PIXELS = 89_478_485  # of an image as stored or resized; Pillow's own mark of a decompression bomb
MAX_SIDE = 16_384
SEED = 0  # of random crops

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by the number of channels


@dataclass(frozen=True)
class Preprocess:
    """What is done to an image, in this order; written as in "bgr,resize=256,mean=104:117:123".

    channels    `rgb` (default), `bgr` or `gray`; values are 0..255
    resize      `resize=256`: the short side, `resize=240x320`: height and width, in any proportion; bilinear, over
                all the pixels that shrink into one. Without it: as small as the network's input still fits in.
    crop        `crop=center` (default) or `crop=random` (the same for the same image each time), to the input's size
    mean        is subtracted; one number or, separated by colons, one for each channel in the input's order
    std, scale  the result is divided by the former or multiplied by the latter; as mean
    layout      `nchw` or `nhwc`, of the input; only where its shape does not tell
    """

    resize: tuple[int, ...] = ()
    crop: str = "center"
    channels: str = ""
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: tuple[float, ...] = (1.0,)
    layout: str = ""

    @staticmethod
    def parse(text: str) -> Preprocess:
        """ConversionError for a word that is unknown, wrong or there twice."""
        found: dict[str, Any] = {}
        for word in filter(None, (word.strip().lower() for word in text.split(","))):
            key, value = _setting(word)
            if key in found or {key, *found} >= {"std", "scale"}:
                raise _wrong(word, "it was said before" if key in found else "std or scale, not both")
            found[key] = value
        return Preprocess(**found)


def _setting(word: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if word in ("rgb", "bgr", "gray"):
        return "channels", word
    if not equals or key not in {field.name for field in fields(Preprocess)} - {"channels"}:
        hint = "There are rgb, bgr, gray, mean=, std=, scale=, resize=, crop=center|random and layout=nchw|nhwc."
        raise ConversionError(f"preprocessing does not know '{word}'", hint=hint)
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise _wrong(word, f"expected {' or '.join(_CHOICES[key])}")
        return key, value
    return key, _sizes(word, value) if key == "resize" else _numbers(word, value)


_CHOICES = {"crop": ("center", "random"), "layout": ("nchw", "nhwc")}


def _wrong(word: str, why: str) -> ConversionError:
    return ConversionError(f"preprocessing can't do '{word}': {why}")


def _sizes(word: str, text: str) -> tuple[int, ...]:
    parts = text.split("x")
    if len(parts) > 2 or not all(part.isdecimal() and 0 < int(part) <= MAX_SIDE for part in parts):
        raise _wrong(word, f"expected a size or HEIGHTxWIDTH, up to {MAX_SIDE}")
    return tuple(int(part) for part in parts)


def _numbers(word: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(":"))
    except ValueError:
        raise _wrong(word, "expected numbers, separated by colons") from None
    if not all(map(math.isfinite, numbers)) or (not word.startswith("mean") and 0 in numbers):
        raise _wrong(word, "expected finite numbers other than zero")
    return numbers


# ---------------------------------------------------------------- files and labels


class ImageItems:
    """Images of files, one after the other."""

    def __init__(self, name: str, paths: Sequence[Path], labels: Sequence[int] | None, target: Target) -> None:
        self._name, self._paths, self._target = name, paths, target
        self.labels = None if labels is None else np.asarray(labels, np.int64)

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for index, path in enumerate(self._paths):
            yield {self._name: self._target.read(path, index)}

    def first(self) -> dict[str, np.ndarray]:
        """Of the right shape only: no image is read."""
        return {self._name: np.broadcast_to(np.float32(0), self._target.shape)}

    def origin(self, index: int) -> Origin:
        return Origin(str(self._paths[index]))


def open_images(path: Path, inputs: Sequence[Tensor | Value], preprocess: str) -> ImageItems:
    """The image, or those of the folder: sorted, or in folders whose places in the order are the labels."""
    if len(inputs) != 1:
        what = f"images are for a model of one input; it has {len(inputs)}: {', '.join(item.name for item in inputs)}"
        raise ConversionError(what, Origin(str(path)), "Give an .npz with an array for each.")
    target = Target.of(inputs[0], Preprocess.parse(preprocess))
    if not path.is_dir():
        return ImageItems(inputs[0].name, [path], None, target)
    images, folders = _images(path), _folders(path)
    inner = [(image, label) for label, folder in enumerate(folders) for image in _images(folder)]
    if bool(images) == bool(inner):
        what = "it holds images and folders of images" if images else "there are no images in it"
        raise ConversionError(what, Origin(str(path)), f"Expected files ending in {', '.join(SUFFIXES)}.")
    if images:
        return ImageItems(inputs[0].name, images, None, target)
    return ImageItems(inputs[0].name, [image for image, _ in inner], [label for _, label in inner], target)


def _images(folder: Path) -> list[Path]:
    return [item for item in _shown(folder) if item.suffix.lower() in SUFFIXES and item.is_file()]


def _folders(folder: Path) -> list[Path]:
    return [item for item in _shown(folder) if item.is_dir()]


def _shown(folder: Path) -> list[Path]:
    try:
        return sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    except OSError as error:
        raise ConversionError(f"can't be read: {error.strerror}", Origin(str(folder))) from None


# ------------------------------------------------------------------------- pixels


@dataclass(frozen=True)
class Target:
    """How the network takes an image: height, width, channels, and which of these axes comes first."""

    size: tuple[int, int]
    channels: int
    is_last: bool
    is_integer: bool
    preprocess: Preprocess

    @staticmethod
    def of(wanted: Tensor | Value, preprocess: Preprocess) -> Target:
        """ConversionError where the input is no image, or does not tell its layout or size."""
        shape = wanted.shape or ()
        if len(shape) not in (3, 4):
            what = f"the input '{wanted.name}' has the shape {types.text(wanted.shape)}: no image"
            raise ConversionError(what, hint="Give an .npz or .npy.")
        is_last = _is_last(wanted, preprocess)
        axes = shape[-3:]
        spatial, channels = (axes[:2], axes[2]) if is_last else (axes[1:], axes[0])
        if not isinstance(channels, int):
            channels = 1 if preprocess.channels == "gray" else 3
        _require_channels(wanted, channels, preprocess)
        is_integer = wanted.dtype is not None and wanted.dtype.kind in "iu"
        return Target(_size(wanted, spatial, preprocess), channels, is_last, is_integer, preprocess)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.size, self.channels) if self.is_last else (self.channels, *self.size)

    def read(self, path: Path, index: int) -> np.ndarray:
        """float32 in the shape of the input, without the batch axis; whole numbers for an input of integers."""
        image = self._cropped(self._resized(_decoded(path, _MODES[self.channels]), path), path, index)
        pixels = np.asarray(image, np.float32).reshape(*self.size, self.channels)
        if self.preprocess.channels == "bgr":
            pixels = pixels[:, :, [2, 1, 0, 3][: self.channels]]
        pixels = (pixels - self._mean) * self._factor
        if self.is_integer:
            pixels = np.rint(pixels)
        return np.ascontiguousarray(pixels if self.is_last else pixels.transpose(2, 0, 1))

    @cached_property
    def _mean(self) -> np.ndarray:
        return np.asarray(self.preprocess.mean, np.float32)

    @cached_property
    def _factor(self) -> np.ndarray:
        return np.asarray(np.divide(self.preprocess.scale, self.preprocess.std), np.float32)

    def _resized(self, image: Image, path: Path) -> Image:
        from PIL.Image import Resampling

        height, width = self._resized_size(image.height, image.width)
        if height * width > MAX_PIXELS:
            what = f"{image.height}x{image.width} pixels would be resized to {height}x{width}"
            raise ConversionError(what, Origin(str(path)), "Say resize=HEIGHTxWIDTH, or leave the image out.")
        same = (width, height) == image.size
        return image if same else image.resize((width, height), Resampling.BILINEAR)

    def _resized_size(self, height: int, width: int) -> tuple[int, int]:
        wanted = self.preprocess.resize
        if len(wanted) == 2:
            return wanted[0], wanted[1]
        if wanted:
            short = min(height, width)
            return max(1, height * wanted[0] // short), max(1, width * wanted[0] // short)
        factor = max(self.size[0] / height, self.size[1] / width)
        return max(self.size[0], round(height * factor)), max(self.size[1], round(width * factor))

    def _cropped(self, image: Image, path: Path, index: int) -> Image:
        spare = image.height - self.size[0], image.width - self.size[1]
        if min(spare) < 0:
            what = f"resized to {image.height}x{image.width}, smaller than the input's {types.text(self.size)}"
            raise ConversionError(what, Origin(str(path)), "Give a larger resize=, or none.")
        if self.preprocess.crop == "random":
            top, left = np.random.default_rng([SEED, index]).integers(0, [item + 1 for item in spare]).tolist()
        else:
            top, left = (round(item / 2) for item in spare)
        return image.crop((left, top, left + self.size[1], top + self.size[0]))


def _is_last(wanted: Tensor | Value, preprocess: Preprocess) -> bool:
    """Told by which of the axes can be the channels', 1, 3 or 4."""
    if preprocess.layout:
        return preprocess.layout == "nhwc"
    first, _, last = (wanted.shape or ())[-3:]
    if (first in _MODES) != (last in _MODES):
        return last in _MODES
    what = (
        f"the shape {types.text(wanted.shape)} of the input '{wanted.name}' does not tell which axis is the channels'"
    )
    raise ConversionError(what, hint="Say layout=nchw or layout=nhwc in the preprocessing.")


def _require_channels(wanted: Tensor | Value, channels: int, preprocess: Preprocess) -> None:
    told = {"gray": (1,), "bgr": (3, 4), "rgb": (3, 4)}.get(preprocess.channels, tuple(_MODES))
    if channels not in told:
        what = f"the input '{wanted.name}' has {channels} channels; {preprocess.channels or 'an image'} has "
        raise ConversionError(what + " or ".join(map(str, told)))
    for name in ("mean", "std", "scale"):
        count = len(getattr(preprocess, name))
        if count not in (1, channels):
            raise ConversionError(f"preprocessing has {count} numbers for {name}, the input has {channels} channels")


def _size(wanted: Tensor | Value, spatial: Sequence[types.Dim], preprocess: Preprocess) -> tuple[int, int]:
    """Height and width: those of the input, or where it leaves them open those that images are resized to."""
    resized = preprocess.resize * 2 if len(preprocess.resize) == 1 else preprocess.resize or spatial
    height, width = (a if isinstance(a, int) else b for a, b in zip(spatial, resized, strict=True))
    if not isinstance(height, int) or not isinstance(width, int):
        what = f"the input '{wanted.name}' leaves open how large images are ({types.text(wanted.shape)})"
        raise ConversionError(what, hint="Say resize=HEIGHTxWIDTH in the preprocessing.")
    return height, width


def _decoded(path: Path, mode: str) -> Image:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=FORMATS)
        with opened:
            if opened.mode.startswith(("I", "F")):
                raise ConversionError(f"its pixels are of {opened.mode}; expected 8 bits a channel", Origin(str(path)))
            return ImageOps.exif_transpose(opened).convert(mode)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ConversionError(f"it claims more than {MAX_PIXELS} pixels", Origin(str(path))) from None
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError, MemoryError) as error:
        raise ConversionError(f"not a readable image: {error}", Origin(str(path))) from None
