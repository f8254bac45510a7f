"""Type promotion, held against torch.result_type for every pair of types, with and without axes, and for numbers."""

from __future__ import annotations

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from netglot.frontends.pytorch.promotion import result_type
from netglot.ir.graph import Graph, Value

TYPES = [
    np.dtype(kind)
    for kind in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
] + [np.dtype(ml_dtypes.bfloat16)]  # fmt: skip
NUMBERS = (True, 3, 2.5)


def _tensor(torch: Any, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    return torch.zeros(shape, dtype=getattr(torch, dtype.name))


def _value(dtype: np.dtype, shape: tuple[int, ...]) -> Value:
    return Graph().add_input("x", dtype, shape)


def _name(torch: Any, *operands: Any) -> str:
    return str(torch.result_type(*operands)).removeprefix("torch.")


@pytest.mark.parametrize("shapes", list(itertools.product([(), (2,)], repeat=2)), ids=str)
def test_two_tensors(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    torch = pytest.importorskip("torch")
    for a, b in itertools.product(TYPES, repeat=2):
        wanted = _name(torch, _tensor(torch, a, shapes[0]), _tensor(torch, b, shapes[1]))
        assert result_type([_value(a, shapes[0]), _value(b, shapes[1])]).name == wanted, (a, b)


@pytest.mark.parametrize("shape", [(), (2,)], ids=str)
def test_a_tensor_and_a_number(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    for dtype, number in itertools.product(TYPES, NUMBERS):
        wanted = _name(torch, _tensor(torch, dtype, shape), number)
        assert result_type([_value(dtype, shape), number]).name == wanted, (dtype, number)


def test_a_number_that_the_network_computes_counts_as_a_number() -> None:
    size, half = _value(np.dtype(np.int64), ()), _value(np.dtype(np.float16), ())
    small = _value(np.dtype(np.int16), ())
    assert result_type([small, size], numbers={size}) == np.int16
    assert result_type([small, size]) == np.int64
    number = _value(np.dtype(np.float64), ())
    assert result_type([small, number], numbers={number}) == np.float32
    assert result_type([half, number], numbers={number}) == np.float16


def test_floating_makes_floats_of_integers_alone() -> None:
    assert result_type([_value(np.dtype(np.int64), (2,))], floating=True) == np.float32
    assert result_type([_value(np.dtype(np.float16), (2,)), 3], floating=True) == np.float16
