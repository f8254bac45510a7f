"""Operators of the netglot domain: the NumPy reference and the ONNX expansion compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.graph import Graph
from netglot.ir.schema import DOMAIN, defaults, schema
from netglot.runtimes.onnxruntime import OnnxRuntime

Argument = np.ndarray | None


def both(op: str, arguments: Sequence[Argument], computed: Sequence[int], **attributes: Any) -> list[np.ndarray]:
    """By ONNX Runtime on the expansion, where the inputs `computed` are no constants, and by the reference."""
    g = Builder(Graph("g"))
    feed = {f"x{i}": array for i, array in enumerate(arguments) if i in computed and array is not None}
    values = [
        g.graph.add_input(f"x{i}", array.dtype, array.shape) if array is not None and i in computed else array
        for i, array in enumerate(arguments)
    ]
    y = g.extension(op, values, **attributes)
    g.graph.outputs = [y]
    g.graph.check()
    [expanded] = OnnxRuntime(g.graph).run(feed).values()
    reference = OPERATORS[op].run(*arguments, **attributes)
    assert (expanded.dtype, expanded.shape) == (reference.dtype, reference.shape) == (y.dtype, y.shape)
    return [expanded, reference]


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("activation", ["", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Sigmoid",
                                        "Softplus", "Swish", "Tanh"])  # fmt: skip
def test_fused(activation: str) -> None:
    after = {"activation": activation, "alpha": 0.3, "beta": 0.4, "approximate": "tanh", "low": -0.5, "high": 2.0}
    image, matrix = floats(1, 6, 3, 3), floats(2, 3, 5)
    window = {"group": 2, "strides": (2, 2), "pads": (1, 1, 1, 1)}
    arguments = [floats(1, 4, 5, 5), floats(6, 2, 3, 3), floats(6), image]
    np.testing.assert_allclose(*both("FusedConv", arguments, [0, 3], **window, **after), rtol=1e-5, atol=1e-6)
    arguments = [floats(2, 3, 4), floats(4, 5), floats(5), matrix]
    np.testing.assert_allclose(*both("FusedMatMul", arguments, [0, 3], **after), rtol=1e-5, atol=1e-6)


def test_fused_without_anything() -> None:
    x, w = floats(1, 4, 5, 6), floats(6, 4, 3, 3)
    np.testing.assert_allclose(*both("FusedConv", [x, w], [0]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        *both("FusedMatMul", [floats(3, 4), floats(4, 2), None, floats(3, 2)], [0, 3]), rtol=1e-5
    )


def test_not_a_number_stays() -> None:
    """Through limits and activation, in both."""
    x = np.array([[np.nan, 1.0], [-3.0, np.inf]], np.float32)
    for found in both("FusedMatMul", [x[:, :1], np.ones((1, 2), np.float32)], [0], low=-1.0, high=6.0):
        assert np.isnan(found[0]).all()
        assert found[1].tolist() == [-1, -1]


def test_limits_that_cross() -> None:
    """min(max(x, low), high) is high then."""
    for found in both("FusedMatMul", [floats(2, 3), floats(3, 2)], [0], low=2.0, high=1.0):
        assert found.tolist() == [[1, 1], [1, 1]]


# ---------------------------------------------------------------------- integers


def integers(dtype: str, *shape: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.random.default_rng(len(shape)).integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def scale(number: float) -> np.ndarray:
    return np.array(number, np.float32)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("result", ["int8", "uint8"])
def test_integers(dtype: str, result: str) -> None:
    """The same numbers: what ONNX Runtime's floats round differently does not occur here."""
    x = [integers(dtype, 1, 4, 5, 6), scale(0.02017), np.array(17 if dtype == "int8" else 145, dtype)]
    y, limits = [scale(0.2931), np.array(5 if result == "int8" else 60, result)], {"low": 2, "high": 90}
    each = np.linspace(0.01, 0.02, 6).astype(np.float32)
    kernel = [integers("int8", 6, 2, 3, 3), each, np.arange(6, dtype=np.int8)]
    bias = integers("int16", 6).astype(np.int32)
    matrix = [integers("int8", 6, 7), scale(0.01), np.array(-3, np.int8)]
    other = [integers("int8", 4, 1, 6), scale(-0.04713), np.array(3, np.int8)]
    window = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "strides": (2, 2)}
    cases: list[tuple[str, list[Any], list[int], dict[str, Any]]] = [
        ("IntegerConv", [*x, *kernel, *y, bias], [0], {"group": 2, "pads": (1, 0, 1, 0)}),
        ("IntegerConv", [*x, *kernel, *y], [0], {"group": 2, "dilations": (2, 2), **limits}),
        ("IntegerMatMul", [*x, *matrix, *y, np.arange(7, dtype=np.int32) * 100], [0], {}),
        ("IntegerMatMul", [*x, integers("uint8", 4, 6, 2), scale(0.01), np.array(128, np.uint8), *y], [0, 3], {}),
        ("IntegerAdd", [*x, *other, *y], [0, 3], limits),
        ("IntegerMul", [*x, *other, *y], [0], {}),
        ("IntegerAveragePool", [*x, *y], [0], window),
        ("IntegerAveragePool", [*x, *y], [0], {**window, "count_include_pad": 1, "ceil_mode": 1}),
        ("IntegerMean", [*x, scale(0.01093), y[1]], [0], {"axes": (2, 3)}),
        ("IntegerMean", [*x, scale(0.01093), y[1]], [0], {"axes": (1,), "keepdims": 0, **limits}),
        ("Lookup8", [x[0], integers(result, 256)], [0], {}),
        ("Lookup8", [x[0], floats(256)], [0], {}),
    ]
    for op, arguments, computed, attributes in cases:
        expanded, reference = both(op, arguments, computed, **attributes)
        assert np.unique(reference).size > 2
        np.testing.assert_array_equal(expanded, reference, err_msg=op)


def test_integers_to_floats() -> None:
    """Without a scale of the result."""
    x = [integers("uint8", 1, 4, 5, 6), scale(0.02), np.array(9, np.uint8)]
    kernel = [integers("int8", 3, 4, 1, 1), scale(0.004), np.array(0, np.int8)]
    bias = np.array([-500, 0, 900], np.int32)
    np.testing.assert_allclose(*both("IntegerConv", [*x, *kernel, None, None, bias], [0]), rtol=1e-5, atol=1e-5)
    matrix = [integers("int8", 6, 7), np.linspace(0.01, 0.02, 7).astype(np.float32), np.zeros(7, np.int8)]
    np.testing.assert_allclose(*both("IntegerMatMul", [*x, *matrix], [0]), rtol=1e-5, atol=1e-5)


def test_half_to_even() -> None:
    """As QuantizeLinear rounds."""
    x = [np.arange(-5, 6, dtype=np.int8), scale(1.0), np.array(0, np.int8)]
    zero = [np.zeros(1, np.int8), scale(1.0), np.array(0, np.int8)]
    for found in both("IntegerAdd", [*x, *zero, scale(2.0), np.array(1, np.int8)], [0]):
        assert found.tolist() == [-1, -1, -1, 0, 1, 1, 1, 2, 3, 3, 3]


# ----------------------------------------------------------------------- schemas


@pytest.mark.parametrize("op", OPERATORS)
def test_schemas(op: str) -> None:
    """Every operator says what it is, and defaults are those of its reference."""
    found = schema(op, DOMAIN)
    assert found is not None
    assert OPERATORS[op].__doc__
    assert set(defaults(op, DOMAIN)) <= set(found.attributes)


def test_defaults() -> None:
    known = defaults("FusedConv", DOMAIN)
    assert (known["low"], known["high"], known["group"], known["activation"]) == (-np.inf, np.inf, 1, "")
    assert (defaults("IntegerConv", DOMAIN)["low"], defaults("IntegerConv", DOMAIN)["high"]) == (-(2**31), 2**31 - 1)
    assert "pads" not in known
