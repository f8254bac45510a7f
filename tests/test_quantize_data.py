"""Samples for calibration: what they are made of, and what is refused; torchvision is the oracle of preprocessing."""

from __future__ import annotations

import gc
import io
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from PIL import Image

from netglot.errors import ConversionError
from netglot.quantize import arrays, images
from netglot.quantize.data import Few, Samples, open_samples
from netglot.runtimes.base import Tensor
from tests.torch_models import torchvision

F32 = np.dtype(np.float32)
Arrays = dict[str, np.ndarray]


def tensor(*shape: int | str | None, name: str = "x", dtype: object = F32) -> Tensor:
    return Tensor(name, np.dtype(dtype), shape)


def picture(path: Path, height: int = 40, width: int = 60, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """Smooth, as resizing noise tells little."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    path.parent.mkdir(exist_ok=True)
    image.save(path)
    return image


def all_of(samples: Samples) -> list[Arrays]:
    """What they hold, the same again and in the right number."""
    found, again = list(samples), list(samples)
    assert len(found) == len(samples) == len(again)
    for a, b in zip(found, again, strict=True):
        assert {name: array.tobytes() for name, array in a.items()} == {name: b[name].tobytes() for name in b}
    return found


def only(data: object, wanted: Tensor, preprocess: str = "") -> list[np.ndarray]:
    found = [sample[wanted.name] for sample in all_of(open_samples(data, [wanted], preprocess))]
    assert all(array.dtype == wanted.dtype for array in found)
    return found


# ------------------------------------------------------------------------- images


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for i, name in enumerate(("b.png", "a.PNG", "c.bmp", "a2.png")):
        picture(tmp_path / name, 8, 8, i)
    (tmp_path / ".hidden.png").write_bytes(b"none")
    (tmp_path / "notes.txt").write_text("none")
    samples = open_samples(tmp_path, [tensor(1, 8, 8, 3)])
    wanted = [np.asarray(Image.open(tmp_path / name), np.float32) for name in ("a.PNG", "a2.png", "b.png", "c.bmp")]
    assert samples.labels is None
    assert np.array_equal([sample["x"][0] for sample in all_of(samples)], wanted)


def test_folders_in_it_are_labels(tmp_path: Path) -> None:
    for i, name in enumerate(("cats/1.png", "cats/0.png", "dogs/0.png", "ants/7.png")):
        picture(tmp_path / name, 8, 8, i)
    (tmp_path / "bees").mkdir()  # a class without images keeps its number
    samples = open_samples(tmp_path, [tensor("n", 3, 8, 8)])
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 2, 2, 3]
    first = np.asarray(Image.open(tmp_path / "ants/7.png"), np.float32).transpose(2, 0, 1)[None]
    assert np.array_equal(all_of(samples)[0]["x"], first)


def test_an_image_alone(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", 8, 8)
    (found,) = only(tmp_path / "a.png", tensor("n", 8, 8, 3))
    assert np.array_equal(found[0], np.asarray(image))


@pytest.mark.parametrize(("height", "width"), [(40, 60), (61, 37), (20, 20), (224, 500)])
def test_resizing_and_cropping_is_torchvisions(tmp_path: Path, height: int, width: int) -> None:
    torchvision()
    transforms = pytest.importorskip("torchvision.transforms")
    image = picture(tmp_path / "a.png", height, width)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    chain = [transforms.Resize(28), transforms.CenterCrop((24, 20)), transforms.ToTensor()]
    wanted = transforms.Compose([*chain, transforms.Normalize(mean, std)])(image).numpy()
    text = f"resize=28,mean={':'.join(str(a * 255) for a in mean)},std={':'.join(str(a * 255) for a in std)}"
    (found,) = only(tmp_path / "a.png", tensor(1, 3, 24, 20), text)
    np.testing.assert_allclose(found[0], wanted, atol=2e-6)


def test_without_resize_an_image_is_as_small_as_fits(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", 40, 60)
    (found,) = only(tmp_path / "a.png", tensor(1, 20, 24, 3))
    small = np.asarray(image.resize((30, 20), Image.Resampling.BILINEAR), np.float32)
    assert np.array_equal(found[0], small[:, 3:27])


def test_the_words_in_their_order(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", 10, 10)
    pixels = np.asarray(image, np.float32)
    (bgr,) = only(tmp_path / "a.png", tensor(1, 3, 10, 10), "bgr, mean=104:117:123, scale=0.5")
    assert np.array_equal(bgr[0], ((pixels[:, :, ::-1] - np.float32([104, 117, 123])) / 2).transpose(2, 0, 1))
    (gray,) = only(tmp_path / "a.png", tensor(1, 10, 10, 1), "gray,std=255")
    np.testing.assert_allclose(gray[0, :, :, 0], np.asarray(image.convert("L")) / 255, rtol=1e-6)
    (exact,) = only(tmp_path / "a.png", tensor(1, 3, 12, 14), "resize=12x14")
    assert np.array_equal(exact[0].transpose(1, 2, 0), np.asarray(image.resize((14, 12), Image.Resampling.BILINEAR)))


def test_channels_and_modes(tmp_path: Path) -> None:
    picture(tmp_path / "la.png", 8, 8, mode="LA")
    picture(tmp_path / "p.gif", 8, 8, mode="P")
    picture(tmp_path / "rgba.png", 8, 8, mode="RGBA")
    picture(tmp_path / "cmyk.jpg", 8, 8, mode="CMYK")
    for name in ("la.png", "p.gif", "rgba.png", "cmyk.jpg"):
        (found,) = only(tmp_path / name, tensor(1, 3, 8, 8))
        assert np.array_equal(found[0].transpose(1, 2, 0), np.asarray(Image.open(tmp_path / name).convert("RGB"))), name
    (found,) = only(tmp_path / "rgba.png", tensor(1, 4, 8, 8), "bgr")
    assert np.array_equal(
        found[0].transpose(1, 2, 0), np.asarray(Image.open(tmp_path / "rgba.png"))[:, :, [2, 1, 0, 3]]
    )


def test_a_photo_taken_upright_is_upright(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", 10, 10)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "b.png", exif=exif)
    (found,) = only(tmp_path / "b.png", tensor(1, 10, 10, 3))
    assert np.array_equal(found[0], np.rot90(np.asarray(image), -1))


def test_random_crops_differ_by_image_and_not_by_time(tmp_path: Path) -> None:
    for name in "abcdefgh":
        picture(tmp_path / f"{name}.png", 40, 60)  # all the same image
    crops = only(tmp_path, tensor(1, 3, 8, 8), "crop=random,resize=40")
    assert len({crop.tobytes() for crop in crops}) > 4
    image = np.asarray(Image.open(tmp_path / "a.png"), np.float32)
    places = {image[i : i + 8, j : j + 8].tobytes() for i in range(33) for j in range(53)}
    assert all(np.ascontiguousarray(crop[0].transpose(1, 2, 0)).tobytes() in places for crop in crops)


def test_integer_inputs_take_whole_numbers_in_their_range(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", 8, 8)
    (found,) = only(tmp_path / "a.png", tensor(1, 8, 8, 3, dtype=np.uint8))
    assert np.array_equal(found[0], np.asarray(image))
    (found,) = only(tmp_path / "a.png", tensor(1, 8, 8, 3, dtype=np.int8), "mean=128")
    assert np.array_equal(found[0], np.asarray(image, int) - 128)
    with pytest.raises(ConversionError, match=r"a\.png: sample 0: 'x' has numbers that int8 can't hold"):
        only(tmp_path / "a.png", tensor(1, 8, 8, 3, dtype=np.int8))


def test_layout_and_open_sizes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 8, 12)
    shapes = {
        (1, "c", "h", "w", "layout=nchw,resize=6"): (1, 3, 6, 6), ("n", None, None, 3, "resize=6x7"): (1, 6, 7, 3),
        (1, 3, 8, 3, "layout=nhwc"): (1, 3, 8, 3), (1, "c", 5, 5, "layout=nchw,gray"): (1, 1, 5, 5),
        (3, 8, 8, ""): (3, 8, 8), (1, 3, "h", 9, "resize=10x10"): (1, 3, 10, 9),
    }  # fmt: skip
    for (*shape, text), wanted in shapes.items():
        (found,) = only(tmp_path, tensor(*shape), text)
        assert found.shape == wanted, shape


@pytest.mark.parametrize(
    ("shape", "text", "message"),
    [
        ((1, 3, 8, 3), "", "does not tell which axis is the channels'\n.*layout=nchw"),
        ((1, 2, 8, 8), "", "does not tell which axis"),
        ((1, 10), "", "1x10: no image"),
        ((1, 3, "h", "w"), "", "leaves open how large images are.*\n.*resize=HEIGHTxWIDTH"),
        ((1, 3, 8, 8), "gray", "has 3 channels; gray has 1"),
        ((1, 1, 8, 8), "bgr", "has 1 channels; bgr has 3 or 4"),
        ((1, 3, 8, 8), "mean=1:2", "2 numbers for mean, the input has 3 channels"),
        ((1, 3, 8, 8), "resize=4", "resized to 4x6, smaller than the input's 8x8"),
        ((1, 3, 8, 8), "hue=3", "does not know 'hue=3'\n.*There are rgb, bgr"),
        ((1, 3, 8, 8), "BGR,rbg", "does not know 'rbg'"),
        ((1, 3, 8, 8), "channels=bgr", "does not know 'channels=bgr'"),
        ((1, 3, 8, 8), "bgr,rgb", "can't do 'rgb': it was said before"),
        ((1, 3, 8, 8), "std=2,scale=3", "std or scale, not both"),
        ((1, 3, 8, 8), "std=0", "finite numbers other than zero"),
        ((1, 3, 8, 8), "scale=nan", "finite numbers"),
        ((1, 3, 8, 8), "mean=1:x:3", "expected numbers, separated by colons"),
        ((1, 3, 8, 8), "resize=0", "expected a size"),
        ((1, 3, 8, 8), "resize=1x2x3", "expected a size"),
        ((1, 3, 8, 8), "resize=99999999", "up to 16384"),
        ((1, 3, 8, 8), "crop=middle", "expected center or random"),
    ],
)
def test_what_images_can_not_be(tmp_path: Path, shape: tuple[int, ...], text: str, message: str) -> None:
    picture(tmp_path / "a.png", 8, 12)
    with pytest.raises(ConversionError, match=message):
        list(open_samples(tmp_path, [tensor(*shape)], text))


def test_folders_that_hold_no_images(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"there are no images in it\n.*\.jpg") as caught:
        open_samples(tmp_path, [tensor(1, 3, 8, 8)])
    assert str(caught.value).startswith(str(tmp_path))
    picture(tmp_path / "a.png", 8, 8)
    picture(tmp_path / "cats/a.png", 8, 8)
    with pytest.raises(ConversionError, match="images and folders of images"):
        open_samples(tmp_path, [tensor(1, 3, 8, 8)])
    with pytest.raises(ConversionError, match="one input; it has 2: x, y"):
        open_samples(tmp_path / "cats", [tensor(1, 3, 8, 8), tensor(1, name="y")])
    with pytest.raises(ConversionError, match="no such file"):
        open_samples(tmp_path / "none.npz", [tensor(1, 3, 8, 8)])
    with pytest.raises(ConversionError, match="no such file or folder"):
        open_samples(tmp_path / "none", [tensor(1, 3, 8, 8)], "bgr")


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 30, 30)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    for content in (whole[: len(whole) // 2], b"", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        (tmp_path / "b.png").write_bytes(content)
        with pytest.raises(ConversionError, match=r"b\.png: not a readable image"):
            list(open_samples(tmp_path, [tensor(1, 3, 8, 8)]))
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(ConversionError, match=r"b\.png: its pixels are of I;16"):
        list(open_samples(tmp_path, [tensor(1, 3, 8, 8)]))


def png(width: int, height: int) -> bytes:
    """An image that claims this size and is as good as empty."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", zlib.compress(b"\0" * 100)) + part(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 30_000, 2**31 - 1])
def test_decompression_bombs_are_refused(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(png(side, side))
    with pytest.raises(ConversionError, match=r"a\.png: it claims more than \d+ pixels"):
        list(open_samples(tmp_path, [tensor(1, 3, 8, 8)]))


def test_a_thin_image_does_not_become_a_huge_one(tmp_path: Path) -> None:
    Image.new("L", (20_000, 1)).save(tmp_path / "a.png")
    with pytest.raises(ConversionError, match="1x20000 pixels would be resized to 224x4480000"):
        list(open_samples(tmp_path, [tensor(1, 3, 224, 224)]))


# ------------------------------------------------------------------- arrays and files


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_hold_arrays_by_name(tmp_path: Path, save: object) -> None:
    x, y, labels = numbers(7, 2, 3), np.arange(7), np.arange(7, dtype=np.uint8) % 3
    save(tmp_path / "a.npz", x=x, y=y, labels=labels, other=np.asarray(["text"]))  # type: ignore[operator]
    inputs = [tensor("n", 2, 3), tensor(1, name="y", dtype=np.int64)]
    samples = open_samples(tmp_path / "a.npz", inputs)
    found = all_of(samples)
    assert samples.labels is not None
    assert samples.labels.tolist() == labels.tolist()
    assert np.array_equal(np.concatenate([sample["x"] for sample in found]), x.astype(np.float32))
    assert [sample["y"].tolist() for sample in found] == [[i] for i in range(7)]


def test_arrays_of_all_kinds(tmp_path: Path) -> None:
    x = numbers(5, 2, 3).astype(np.float32)
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(x))
    sources = [tmp_path / "a.npy", str(tmp_path / "fortran.npy"), x, {"x": x}, list(x), iter(x), ({"x": a} for a in x)]
    for source in sources:
        assert np.array_equal(np.concatenate(only(source, tensor("n", 2, 3))), x)
    samples = open_samples(x, [tensor("n", 2, 3)])
    assert open_samples(samples, [tensor("n", 2, 3)]) is samples


def test_items_with_and_without_the_batch_axis() -> None:
    assert only(numbers(4, 1, 3), tensor(1, 3))[0].shape == only(numbers(4, 3), tensor(1, 3))[0].shape == (1, 3)
    assert [a.shape for a in only([numbers(2, 3), numbers(5, 3)], tensor("n", 3))] == [(2, 3), (5, 3)]
    assert only([numbers(2, 3)], tensor(2, 3))[0].shape == (2, 3)
    assert only(numbers(4), tensor())[0].shape == ()


def labelled(count: int) -> list[dict[str, object]]:
    return [{"x": one, "labels": np.int32(index)} for index, one in enumerate(numbers(count, 3))]


@pytest.mark.parametrize("given", [labelled, lambda count: iter(labelled(count))], ids=["again", "once"])
def test_items_of_an_iterable_have_labels(given: Callable[[int], Iterable[object]]) -> None:
    samples = open_samples(given(7), [tensor(2, 3)])
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert len(all_of(samples)) == 3
    assert all_of(open_samples(given(4), [tensor(2, 3), tensor(2, name="labels")]))[0]["labels"].tolist() == [0, 1]


@pytest.mark.parametrize("label", [None, 0.5, [1, 2], -1, "cat"], ids=str)
def test_labels_that_are_none(label: object) -> None:
    items = [{"x": numbers(3), "labels": 1}, {"x": numbers(3), "labels": label}]
    for given in (items, iter(items)):
        with pytest.raises(ConversionError, match=r"sample 1: 'labels' is .*; expected one integer"):
            open_samples(given, [tensor(1, 3)])


def test_the_first_batches_have_the_labels_of_their_items() -> None:
    few = Few(open_samples(labelled(8), [tensor(2, 3)]), 3)
    assert few.labels is not None
    assert few.labels.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_fixed_batch_takes_as_many_items_and_leaves_the_last_out(tmp_path: Path) -> None:
    x = numbers(11, 3).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, labels=np.arange(11))
    for source in (tmp_path / "a.npz", x, list(x), iter(x)):
        samples = open_samples(source, [tensor(4, 3)])
        assert np.array_equal(np.concatenate([sample["x"] for sample in all_of(samples)]), x[:8])
        assert samples.batch == 4
        assert samples.labels is None or samples.labels.tolist() == list(range(8))
    for source in (x[:3], list(x[:3]), iter(x[:3])):
        with pytest.raises(ConversionError, match="the model takes 4 items at once, there are"):
            open_samples(source, [tensor(4, 3)])
    with pytest.raises(ConversionError, match="different numbers of items at once: 4 for 'x', 2 for 'y'"):
        open_samples({"x": x, "y": x}, [tensor(4, 3), tensor(2, 3, name="y")])


def test_other_types() -> None:
    (found,) = only([np.asarray([1, 2, 250], np.uint8)], tensor(1, 3))
    assert found.tolist() == [[1, 2, 250]]
    assert only([np.asarray([1.0, 0.0])], tensor(2, dtype=bool))[0].tolist() == [True, False]
    assert only([np.asarray([1.5])], tensor(1, dtype=ml_dtypes.bfloat16))[0].tolist() == [1.5]
    assert only([np.asarray([1.5], ml_dtypes.bfloat16)], tensor(1))[0].tolist() == [1.5]


@pytest.mark.parametrize(
    ("items", "dtype", "message"),
    [
        ([[1, 2], [1, np.nan]], np.float32, "sample 1: 'x' holds NaN or infinity"),
        ([[1, 2], [1, 2], [-np.inf, 0]], np.float32, "sample 2: 'x' holds NaN or infinity"),
        ([[1, 1e39]], np.float32, r"float32 can't hold \(they are 1.0 to 1e\+39\)"),
        ([[1, 70000]], np.float16, "float16 can't hold"),
        ([[1, 256]], np.uint8, "uint8 can't hold"),
        ([[1, -1]], np.uint8, "uint8 can't hold"),
        ([[1, 0.5]], np.int32, "int32 can't hold"),
        ([[1, np.nan]], np.int32, "holds NaN"),
        ([[0, 2]], np.bool_, "bool can't hold"),
        ([[2**63, 2**63]], np.int64, "int64 can't hold"),
        ([["a", "b"]], np.float32, "holds <U1, not numbers"),
        ([[1j, 1]], np.float32, "holds complex128, not numbers"),
    ],
)
def test_numbers_that_do_not_fit(items: list[list[object]], dtype: type, message: str) -> None:
    for source in ([np.asarray(item) for item in items], iter([np.asarray(item) for item in items])):
        with pytest.raises(ConversionError, match=message):
            list(open_samples(source, [tensor(1, 2, dtype=dtype)]))


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=numbers(4, 3, 5))
    with pytest.raises(ConversionError, match=r"a\.npz: sample 0: 'x' has shape 3x5, the model takes 1x3x4"):
        open_samples(tmp_path / "a.npz", [tensor(1, 3, 4)])
    for odd in (numbers(3), numbers(2, 4, 1), numbers(2, 2, 2, 2)):
        with pytest.raises(ConversionError, match=r"sample 1: 'x' has shape .* the model takes nx2x4"):
            list(open_samples([numbers(2, 4), odd], [tensor("n", 2, 4)]))
    with pytest.raises(ConversionError, match="sample 1: 'x' has a batch axis, or lacks one, unlike the first"):
        list(open_samples([numbers(4), numbers(2, 4)], [tensor(2, 4)]))
    with pytest.raises(ConversionError, match="sample 1: 'x' has shape 1x5, those before 1x4"):
        list(open_samples([numbers(4), numbers(5)], [tensor(2, "w")]))


def test_what_is_missing(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=numbers(4, 3), z=numbers(4))
    two = [tensor(1, 3), tensor(1, 3, name="y")]
    with pytest.raises(ConversionError, match=r"no array for the input y\n.*There are: x, z"):
        open_samples(tmp_path / "a.npz", two)
    with pytest.raises(ConversionError, match=r"sample 1 has no array for the input 'y'\n.*There are: x"):
        list(open_samples([{"x": numbers(3), "y": numbers(3)}, {"x": numbers(3)}], two))
    with pytest.raises(ConversionError, match="one array for the 2 inputs x, y"):
        open_samples(numbers(4, 3), two)
    with pytest.raises(ConversionError, match="first axes, which count the samples, differ: 'x' 4x3, 'y' 5x3"):
        open_samples({"x": numbers(4, 3), "y": numbers(5, 3)}, two)
    with pytest.raises(ConversionError, match=r"differ: 'x' 4x3, 'labels' 5"):
        open_samples({"x": numbers(4, 3), "labels": np.arange(5)}, two[:1])
    with pytest.raises(ConversionError, match=r"'labels' is float64\[4\]; expected one integer per sample"):
        open_samples({"x": numbers(4, 3), "labels": numbers(4)}, two[:1])
    with pytest.raises(ConversionError, match="'labels' holds -1; classes are counted from 0"):
        open_samples({"x": numbers(4, 3), "labels": np.arange(4) - 1}, two[:1])
    for nothing in ([], iter([]), np.zeros((0, 3))):
        with pytest.raises(ConversionError, match="there are no samples"):
            open_samples(nothing, two[:1])
    with pytest.raises(ConversionError, match="a sample is a tuple"):
        open_samples([(numbers(3), 0)], two[:1])
    with pytest.raises(ConversionError, match="a int is no samples"):
        open_samples(5, two[:1])
    with pytest.raises(ConversionError, match=r"'bgr'.* is for images"):
        open_samples(tmp_path / "a.npz", two[:1], "bgr")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(ConversionError, match="not known how to read samples from it"):
        open_samples(tmp_path / "a.csv", two[:1])


# ------------------------------------------------------------------- hostile files


def header(shape: tuple[int, ...], dtype: str = "<f4", order: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": order, "shape": shape})
    return buffer.getvalue()


def archive(path: Path, content: bytes, name: str = "x.npy") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return path


class Trap:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((4, 3)), "has 128 bytes, float32.4x3. would have 176"),
        (header((1 << 40, 3)) + b"0" * 48, "would have 13194139533440"),
        (header((1, 1 << 40)) + b"0" * 48, "would have"),
        (header((-1, 3)), "holds float32"),
        (header((2, 3), order=True) + b"0" * 24, "in Fortran order"),
        (header((2, 3), "|O") + b"0" * 48, "holds object"),
        (b"\x93NUMPY\x09\x00", "npy version"),
        (b"nothing", "magic string"),
        (b"", "magic string"),
    ],
)
def test_archives_that_lie(tmp_path: Path, content: bytes, message: str) -> None:
    tracemalloc.start()
    with pytest.raises(ConversionError, match=rf"a\.npz: not an \.npz file of arrays: .*{message}"):
        open_samples(archive(tmp_path / "a.npz", content), [tensor("n", "w")])
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def test_an_archive_with_one_huge_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "ITEM_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1, 2000), np.uint8))
    with pytest.raises(ConversionError, match=r"an item of 'x\.npy' has the shape 2000, more than 1000 bytes"):
        open_samples(tmp_path / "a.npz", [tensor("n", "w")])


def test_files_that_are_damaged(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(1500).reshape(50, 30))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[1000:1040] = b"\xff" * 40
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ConversionError, match=r"a\.npz: it is damaged"):
        list(open_samples(tmp_path / "a.npz", [tensor(1, 30)]))
    (tmp_path / "a.npz").write_bytes(content[:300])
    with pytest.raises(ConversionError, match=r"not an \.npz file"):
        open_samples(tmp_path / "a.npz", [tensor(1, 30)])
    (tmp_path / "a.npy").write_bytes(header((1 << 40, 30)) + b"0" * 120)
    with pytest.raises(ConversionError, match=r"not an \.npy file"):
        open_samples(tmp_path / "a.npy", [tensor(1, 30)])


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.asarray([Trap()], object)
    np.save(tmp_path / "a.npy", trap)
    np.savez(tmp_path / "a.npz", x=trap)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ConversionError, match="not an"):
            open_samples(tmp_path / name, [tensor(1, 1)])


# ------------------------------------------------------------------- bounded memory


def peak(source: object, wanted: Tensor) -> int:
    gc.collect()
    tracemalloc.start()
    for sample in open_samples(source, [wanted]):
        assert sample[wanted.name].shape == (1, 250_000)
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size


def test_memory_holds_a_few_samples_and_not_all(tmp_path: Path) -> None:
    """40 samples of 1 MB each, from files and from an iterator that can be gone through once."""
    one = np.random.default_rng(0).random(250_000, np.float32)

    def once() -> Iterator[Arrays]:
        yield from ({"x": one * i} for i in range(40))

    np.savez(tmp_path / "a.npz", x=np.broadcast_to(one, (40, 250_000)))
    np.save(tmp_path / "a.npy", np.broadcast_to(one, (40, 250_000)))
    for source in (tmp_path / "a.npz", tmp_path / "a.npy", once()):
        assert peak(source, tensor(1, 250_000)) < 8 << 20


def test_the_spool_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    samples = open_samples(iter(numbers(5, 3)), [tensor(1, 3)])
    assert len(list(samples)) == 5
    first, second = iter(samples), iter(samples)
    assert [next(first)["x"].tolist(), next(first)["x"].tolist()][0] == next(second)["x"].tolist()
    del samples, first, second
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_pillow_is_imported_for_images_only() -> None:
    import subprocess
    import sys

    code = "import sys, netglot.quantize.data; sys.exit('PIL' in sys.modules or 'distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_word_is_told_about() -> None:
    with pytest.raises(ConversionError) as caught:
        images.Preprocess.parse("nothing")
    for word in ("rgb", "bgr", "gray", "mean=", "std=", "scale=", "resize=", "crop=", "layout="):
        assert word in str(caught.value)
