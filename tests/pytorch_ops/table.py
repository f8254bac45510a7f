"""The table of ATen operators: one row is one call of `torch.ops.aten.<op>`, computed by torch and by the graph."""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netglot.frontends.pytorch.arguments import Ref
from netglot.frontends.pytorch.program import Body, Call, Input, Meta, Program
from tests.ops.table import In, random


def T(*shape: int, dtype: str = "float32", low: float = -2.0, high: float = 2.0) -> In:  # noqa: N802
    """A tensor that is fed."""
    return In(shape, dtype, low, high)


class Row:
    """One call, positional and by keyword as in Python: Row("add.Tensor", T(2, 3), T(3), alpha=2).

    A T is a tensor that is fed, an ndarray a constant (a weight), np.float32... a dtype, a list of T a list of
    tensors. Complex ones are fed, and given out, as pairs of real ones. `name` tells rows of one operator apart.

    `row_rtol`: of the output's largest value. `row_dynamic`: the row is run again with every size open. `row_targets`:
    which targets run it besides ONNX Runtime ("tflite", "coreml", "cpp"). `row_outputs`: those that are compared.
    `row_values`: what is fed, in order, where random numbers will not do.
    """

    def __init__(
        self, op: str, *args: Any, name: str = "", row_rtol: float = 1e-5, row_dynamic: bool = False,
        row_targets: Sequence[str] = (), row_outputs: Sequence[int] | None = None, row_values: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:  # fmt: skip
        self.op, self.args, self.kwargs, self.name = op, args, kwargs, name
        self.rtol, self.dynamic, self.targets, self.outputs = row_rtol, row_dynamic, tuple(row_targets), row_outputs
        self.values = row_values

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}" if self.name else self.op

    @property
    def target(self) -> str:
        namespace = "" if self.op.startswith(("quantized_decomposed.", "torchvision.")) else "aten."
        return namespace + (self.op if "." in self.op.removeprefix("torchvision.") else f"{self.op}.default")

    def feed(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        given = iter(self.values)
        return {f"in{i}": np.asarray(next(given)) if self.values else random(rng, _as_pairs(item))
                for i, item in enumerate(_tensors([*self.args, *self.kwargs.values()]))}  # fmt: skip


def _is_complex(item: In) -> bool:
    return item.dtype.startswith("complex")


def _as_pairs(item: In) -> In:
    """What is fed for a complex tensor: real numbers, with an axis more."""
    real = {"complex64": "float32", "complex128": "float64"}
    return In((*item.shape, 2), real[item.dtype], item.low, item.high) if _is_complex(item) else item


def _tensors(items: Any) -> Iterator[In]:
    for item in items:
        if isinstance(item, In):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _tensors(item)


@dataclass
class Built:
    """A row as a program, and what torch computes for it."""

    program: Program
    expected: list[np.ndarray]
    weights: dict[str, np.ndarray] = field(default_factory=dict)


def build(row: Row, feed: dict[str, np.ndarray], *, dynamic: bool = False) -> Built:
    """Computes the row with torch, and makes the program of that one call."""
    import torch

    if row.target.startswith("quantized_decomposed."):
        importlib.import_module("torch.ao.quantization.fx._decomposed")  # registers them
    overload = torch.ops
    for part in row.target.split("."):
        overload = getattr(overload, part)
    fed = iter(feed.items())
    weights: dict[str, np.ndarray] = {}
    names = [argument.name for argument in overload._schema.arguments]
    given = [*zip(names, row.args, strict=False), *row.kwargs.items()]
    sides = [(name, *_both(item, fed, weights)) for name, item in given]
    with torch.no_grad():
        results = overload(
            *[side[1] for side in sides[: len(row.args)]], **{s[0]: s[1] for s in sides[len(row.args) :]}
        )
    flat = [item for item in _flat(results) if item is not None]
    calls = (
        Call(row.target, tuple((name, ours) for name, _, ours in sides), tuple(f"out{i}" for i in range(len(flat)))),
    )
    metas = {name: _meta(array.shape, array.dtype, name if dynamic else "") for name, array in feed.items()}
    names = [f"out{i}" for i in range(len(flat))]
    calls = _with_pairs(calls, row, feed, flat, names)
    metas |= {name: _meta(item.shape, _numpy(item).dtype, "?" if dynamic else "")
              for name, item in zip(names, flat, strict=True) if isinstance(item, torch.Tensor)}  # fmt: skip
    chosen = list(row.outputs) if row.outputs is not None else list(range(len(flat)))
    refs = tuple(Ref(names[i]) for i in chosen)
    inputs = [Input("user", name) for name in feed] + [Input("weight", name, name) for name in weights]
    body = Body(tuple(Ref(item.name) for item in inputs), refs, calls, metas)
    program = Program(body, tuple(inputs), tuple((ref.name, ref) for ref in refs), weights, file="row")
    return Built(program, [_numpy(flat[i]) for i in chosen], weights)


def _with_pairs(
    calls: tuple[Call, ...], row: Row, feed: dict[str, np.ndarray], flat: list[Any], names: list[str]
) -> tuple[Call, ...]:
    """Calls that make complex tensors of pairs, and pairs of complex results: those change in `flat` and `names`."""
    import torch

    items = zip(feed, _tensors([*row.args, *row.kwargs.values()]), strict=True)
    before = [_as_complex(name) for name, item in items if _is_complex(item)]
    after = []
    for i, item in enumerate(flat):
        if isinstance(item, torch.Tensor) and item.is_complex():
            after.append(Call("aten.view_as_real.default", (("self", Ref(names[i])),), (f"{names[i]}_pairs",)))
            flat[i], names[i] = torch.view_as_real(item.resolve_conj()), f"{names[i]}_pairs"
    return (*before, *calls, *after)


def _as_complex(name: str) -> Call:
    return Call("aten.view_as_complex.default", (("self", Ref(name)),), (f"{name}_complex",))


def _flat(results: Any) -> list[Any]:
    return [item for part in results for item in _flat(part)] if isinstance(results, (list, tuple)) else [results]


def _meta(shape: Sequence[int], dtype: np.dtype, symbol: str) -> Meta:
    """With `symbol` every size is open; "?" says nothing of it at all."""
    if not symbol:
        return Meta(dtype, tuple(shape))
    return Meta(dtype, tuple(None if symbol == "?" else f"{symbol}_{axis}" for axis in range(len(shape))))


def _both(item: Any, fed: Iterator[tuple[str, np.ndarray]], weights: dict[str, np.ndarray]) -> tuple[Any, Any]:
    """An argument as torch takes it, and as the program says it."""
    if isinstance(item, In):
        name, array = next(fed)
        if _is_complex(item):
            import torch

            return torch.view_as_complex(_torch(array)), Ref(f"{name}_complex")
        return _torch(array), Ref(name)
    if isinstance(item, np.ndarray):
        name = f"w{len(weights)}"
        weights[name] = item
        return _torch(item), Ref(name)
    if isinstance(item, (list, tuple)):
        parts = [_both(part, fed, weights) for part in item]
        return [part[0] for part in parts], [part[1] for part in parts]
    if isinstance(item, type) and issubclass(item, np.generic):
        return _torch_dtype(np.dtype(item)), np.dtype(item)
    return item, item


def _torch(array: np.ndarray) -> Any:
    import torch

    if array.dtype.isbuiltin == 2:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def _torch_dtype(dtype: np.dtype) -> Any:
    import torch

    return getattr(torch, dtype.name)


def _numpy(item: Any) -> np.ndarray:
    import torch

    if not isinstance(item, torch.Tensor):
        return np.array(item)
    if item.dtype == torch.bfloat16:
        import ml_dtypes

        return item.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return item.resolve_conj().resolve_neg().numpy()


def all_rows() -> list[Row]:
    """The rows of every module of this package: its ROWS."""
    package = importlib.import_module("tests.pytorch_ops")
    modules = sorted(info.name for info in pkgutil.iter_modules(package.__path__) if info.name != "table")
    rows = [row for name in modules for row in importlib.import_module(f"tests.pytorch_ops.{name}").ROWS]
    counts: dict[str, int] = {}
    for row in rows:  # rows that say no name are told apart by number
        counts[row.id] = counts.get(row.id, -1) + 1
        if counts[row.id]:
            row.name = f"{row.name}.{counts[row.id]}".lstrip(".")
    return rows
