"""Depthwise convolutions of the C++ backend, many in one model, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netglot.backends.cpp import save
from netglot.backends.cpp.depthwise import is_depthwise, pack
from netglot.backends.cpp.packing import Window
from tests.targets import cpp_levels
from tests.test_cpp_conv import Net


def known_layers(net: Net) -> None:
    """Kernels, strides and sizes that networks for phones have, and what is near them."""
    for kernel in (3, 5, 7):
        for stride in (1, 2, 3):
            pads = (kernel // 2,) * 4
            for size, channels in ((7, 64), (14, 24), (15, 40), (kernel, 13)):
                net.conv(
                    (1, channels, size, size + 1), channels, (kernel, kernel), group=channels, pads=pads,
                    strides=(stride, stride),
                )  # fmt: skip


def random_windows(net: Net, count: int) -> None:
    """Any sizes, strides, dilations and padding, one to three outputs for each channel, in batches of one or two."""
    rng = net.rng
    for i in range(count):
        kernel = tuple(int(k) for k in rng.choice([1, 2, 3, 3, 4, 5, 6], 2))
        dilations = tuple(int(d) for d in rng.choice([1, 1, 2, 3], 2))
        pads = tuple(int(p) for p in rng.integers(0, 9, 4))
        least = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        size = [max(1, int(n + rng.integers(0, 14) - (p if p < 4 else 0))) for n, p in zip(least, pads, strict=False)]
        pads = (*(max(p, n - s) for p, n, s in zip(pads, least, size, strict=False)), *pads[2:])
        channels = int(rng.integers(2, 70))
        net.conv(
            (int(rng.integers(1, 3)), channels, *size), channels * int(rng.choice([1, 1, 1, 2, 3])), kernel,
            group=channels, bias=i % 3 > 0, pads=pads, strides=tuple(int(s) for s in rng.integers(1, 4, 2)),
            dilations=dilations,
        )  # fmt: skip


def followed_by(net: Net) -> None:
    """One axis; bounds, a residual (an input, or computed and then overwritten) and an activation."""
    g = net.g
    net.conv((2, 21, 30), 21, (3,), group=21, pads=(1, 1))
    x, w, b = net.input(2, 37, 9, 11), net.numbers(37, 1, 3, 3), net.numbers(37)
    window = {"group": 37, "pads": (1, 1, 1, 1)}
    net.output(g.extension("FusedConv", [x, w, b], low=0.0, high=0.5, **window))
    net.output(g.extension("FusedConv", [x, w, b, net.input(2, 37, 9, 11)], low=0.0, activation="HardSwish", **window))
    first = g.Conv(x, w, b, **window)
    second = g.extension("FusedConv", [first, w, None, first], **window)
    net.output(g.extension("FusedConv", [x, w, b, second], **window))


def whole(seed: int) -> Net:
    net = Net(seed)
    known_layers(net)
    random_windows(net, 30)
    followed_by(net)
    return net


@pytest.mark.parametrize("level", cpp_levels())
def test_windows_of_all_shapes(level: int, tmp_path: Path) -> None:
    whole(level).check(tmp_path, level)


def test_a_layer_is_shared_by_threads(tmp_path: Path) -> None:
    whole(7).check(tmp_path, cpp_levels()[-1], threads=3)


def test_the_kernel_is_taken(tmp_path: Path) -> None:
    net = Net()
    net.conv((1, 8, 9, 9), 8, (3, 3), group=8)
    save(net.g.graph, tmp_path / "cpp")
    assert "netglot::depthwise(" in "".join(path.read_text() for path in (tmp_path / "cpp").glob("layers*"))


def test_weights_lie_tap_by_tap() -> None:
    w = np.arange(18 * 6, dtype=np.float32).reshape(18, 1, 2, 3)
    packed = pack(w)
    assert packed.shape == (6, 32)
    assert packed[5, 17] == w[17, 0, 1, 2]
    assert not packed[:, 18:].any()


def test_an_image_of_one_channel_is_an_ordinary_convolution() -> None:
    assert is_depthwise(Window(1, 9, 9, 8, 7, 7, 16, 3, 3, groups=8))
    assert not is_depthwise(Window(1, 9, 9, 1, 7, 7, 16, 3, 3, groups=1))
    assert not is_depthwise(Window(1, 9, 9, 8, 7, 7, 16, 3, 3, groups=4))
