"""Operators of the C++ backend that only move elements, on images stored either way, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from netglot.backends.cpp import save
from netglot.backends.cpp.moves import move
from netglot.backends.cpp.nest import Walk
from netglot.ir.graph import Value
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import cpp_levels
from tests.test_cpp_conv import Net, Shape


def between(net: Net, shape: Shape, *operators: Callable[[Value], list[Value]]) -> None:
    """Each operator on an image that a convolution made, and a convolution of what comes out."""
    for operator in operators:
        for y in operator(image(net, shape)):
            weights = net.numbers(3, y.sizes[1], *(1,) * (y.rank - 2))
            net.output(net.g.op("Conv", [y, weights]))


def image(net: Net, shape: Shape) -> Value:
    x = net.input(shape[0], 3, *shape[2:])
    return net.g.op("Conv", [x, net.numbers(shape[1], 3, *(1,) * (len(shape) - 2))])


def moves(net: Net) -> None:
    g = net.g

    def ints(*values: int) -> np.ndarray:
        return np.array(values, np.int64)

    for shape in ((2, 8, 6, 5), (1, 20, 7, 9)):
        other = image(net, shape)
        between(
            net,
            shape,
            lambda x, other=other: [g.op("Concat", [x, other, x], axis=1)],  # type: ignore[misc]
            lambda x, other=other: [g.op("Concat", [x, other], axis=3)],  # type: ignore[misc]
            lambda x: [g.op("Concat", [x, net.numbers(x.sizes[0], 3, *x.sizes[2:])], axis=1)],
            lambda x: list(g.op("Split", [x, ints(5, x.sizes[1] - 5)], outputs=2, axis=1)),
            lambda x: list(g.op("Split", [x, ints(2, x.sizes[2] - 2)], outputs=2, axis=2)),
            lambda x: [g.op("Slice", [x, ints(1, 3), ints(4, 7), ints(2, 1)])],
            lambda x: [g.op("Slice", [x, ints(-1, 0), ints(-9, 8), ints(3, 1), ints(-2, 3)])],
            lambda x: [g.op("Pad", [x, ints(0, 2, 1, 0, 0, 1, -2, 3), np.float32(0.5)], mode="constant")],
            lambda x: [g.op("Pad", [x, ints(1, 2, 3, 1), None, ints(2, 3)], mode="reflect")],
            lambda x: [g.op("Pad", [x, ints(1, 2), None, ints(1)], mode="edge")],
            lambda x: [g.op("DepthToSpace", [x], blocksize=2, mode="DCR")],
            lambda x: [g.op("DepthToSpace", [x], blocksize=2, mode="CRD")],
            lambda x: [g.op("Resize", [x, None, np.array([1, 1, 2, 2], np.float32)], mode="nearest")],
            lambda x: [g.op("Resize", [x, None, np.array([1, 1, 2, 1.5], np.float32)], mode="linear")],
            lambda x: [g.op("Resize", [x, None, np.array([1, 1, 0.6, 2], np.float32)], mode="cubic")],
            lambda x: [g.op("Transpose", [x], perm=(0, 1, 3, 2))],
        )
    between(net, (2, 6, 4, 8), lambda x: [g.op("SpaceToDepth", [x], blocksize=2)])
    between(net, (2, 9, 11), lambda x: [g.op("Concat", [x, x], axis=1)], lambda x: [g.op("Concat", [x, x], axis=2)])
    for size in ((1, 3, 30, 31), (2, 17, 4, 4), (1, 33, 5, 5)):  # from one order to the other, and back
        net.output(g.op("Relu", [g.op("Flatten", [image(net, size)])]))


@pytest.mark.parametrize("level", cpp_levels())
def test_moves(level: int, tmp_path: Path) -> None:
    net = Net(3)
    moves(net)
    net.check(tmp_path, level)


@pytest.mark.parametrize("level", cpp_levels())
def test_matrices_of_whole_blocks(level: int, tmp_path: Path) -> None:
    """At -O2, GCC 12 warned of the loops for what is left over, which for these never run."""
    net = Net(4)
    for shape in ((6, 16, 7), (6, 7, 16), (6, 14, 8)):
        net.output(net.g.op("Transpose", [net.input(*shape)], perm=(0, 2, 1)))
    wanted = OnnxRuntime(net.g.graph).run(net.feed)
    save(net.g.graph, tmp_path / "cpp")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", f"-DNETGLOT_ONLY={level}"]
    found = CompiledCpp(tmp_path / "cpp", flags, cache=tmp_path).run(net.feed)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def nests() -> Iterator[tuple[Shape, Shape, Shape, str]]:
    yield (4, 5), (5, 1), (5, 1), "copy_row<20>"
    yield (4, 5), (9, 1), (5, 1), "copy_row<5>"
    yield (4, 5), (5, 1), (1, 4), "transpose(&y, 5, &a, 4, 4, 5)"
    yield (2, 3, 5), (15, 5, 1), (15, 1, 3), "y = a"  # too narrow for blocks
    yield (4, 5), (5, 1), (10, 2), "y = a"
    yield (4, 5), (5, 1), (0, 1), "copy_row<5>"
    yield (1, 1), (1, 1), (1, 1), "y = a"


@pytest.mark.parametrize(("shape", "write", "read", "body"), list(nests()))
def test_how_elements_move(shape: Shape, write: Shape, read: Shape, body: str) -> None:
    assert body in move(shape, Walk("float& y", "y", write), Walk("float a", "x", read))
