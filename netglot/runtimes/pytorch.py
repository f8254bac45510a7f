"""PyTorch: runs exported programs, from a .pt2 or in memory."""

from __future__ import annotations

import importlib
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.options import LoadOptions
from netglot.frontends.pytorch import aliases, sources, symbols, trusted
from netglot.frontends.pytorch.archive import Archive, array
from netglot.frontends.pytorch.arguments import Ref
from netglot.frontends.pytorch.program import Program
from netglot.ir.types import Dim
from netglot.runtimes.base import Arrays, Runtime, Tensor


class PyTorch(Runtime):
    """An exported program computed by torch, on one thread as the other references are.

    The file is not opened by torch.export.load, which would unpickle and evaluate what is in it: see
    netglot.frontends.pytorch.trusted.
    """

    def __init__(self, source: Path | Any) -> None:
        import torch

        self.name = f"PyTorch {torch.__version__}"
        self._torch, self._origin = torch, Origin(str(source) if isinstance(source, Path) else "")
        if isinstance(source, Path):
            program = sources.read(source, LoadOptions())
            if isinstance(program, Archive):
                what = "TorchScript is code, which netglot reads but does not run: there is nothing to compare with"
                raise ConversionError(what, self._origin, "Convert with --no-verify.")
            _import_libraries(program)
            self._exported = trusted.exported(program)
        else:
            program = sources.of_exported(source, "module")
            self._exported = source
        self._module = self._exported.graph_module
        self._fixed = self._weights()
        changed = {name for body in program.bodies() for name in aliases.changed_inputs(body)}
        self._changed = changed | {name for name in self._fixed if name.startswith("b_")}
        self._program, self.is_open = program, bool(program.ranges)
        self.inputs = [_tensor(program, item.name) for item in program.inputs if item.kind == "user"]
        self.outputs = [_tensor(program, value.name, name) for name, value in program.outputs if isinstance(value, Ref)]
        self._kept = [
            i for i, spec in enumerate(self._exported.graph_signature.output_specs)
            if spec.kind.name in ("USER_OUTPUT", "LOSS_OUTPUT") and getattr(spec.arg, "name", None) is not None
            and type(spec.arg).__name__ != "ConstantArgument"
        ]  # fmt: skip

    def _weights(self) -> dict[str, Any]:
        """By the names of the graph's inputs: what the program holds itself."""
        signature, tensors = self._exported.graph_signature, {**self._exported.constants, **self._exported.state_dict}
        fixed: dict[str, Any] = {}
        for spec in signature.input_specs:
            if spec.target is not None:
                fixed[spec.arg.name] = tensors[spec.target]
            elif type(spec.arg).__name__ == "ConstantArgument":
                fixed[spec.arg.name] = spec.arg.value
        return fixed

    def sizes(self, sample: int) -> dict[str, int]:
        """Within the limits of the program's open sizes; first those that it was exported with."""
        program = self._program
        chosen = {name: within(*limits, sample) for name, limits in program.ranges.items() if name.isidentifier()}
        chosen |= {name: size for name, size in program.examples.items() if sample == 0}
        dims = {dim for tensor in self.inputs for dim in tensor.shape if isinstance(dim, str)} - set(chosen)
        for dim in dims:
            with suppress(ValueError, ArithmeticError):  # what can't be computed is left open, as any unknown size
                chosen[dim] = symbols.evaluated(dim, chosen)
        return chosen

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """The outputs by name. What the program changes in place (weights, inputs) is changed in copies.

        The weights of a file are read where they lie: to write there would end the process.
        """
        torch = self._torch
        given = {item.name: trusted.tensor(np.array(inputs[item.name])) for item in self.inputs}
        known = given | {
            name: value.clone() if name in self._changed and hasattr(value, "clone") else value
            for name, value in self._fixed.items()
        }
        names = [spec.arg.name for spec in self._exported.graph_signature.input_specs]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = self._module(*(known[name] for name in names))
        except Exception as error:  # torch's operators raise many kinds
            what = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            raise ConversionError(f"torch can't run it: {what}", self._origin) from None
        finally:
            torch.set_num_threads(threads)
        kept = [results[i] for i in self._kept]
        return {tensor.name: _array(item) for tensor, item in zip(self.outputs, kept, strict=True)}


def _import_libraries(program: Program) -> None:
    """Operators of torchvision are there once it is imported."""
    if any(target.startswith("torchvision.") for target in program.targets()):
        with suppress(Exception):  # it may not be installed, or fit another torch; then torch says what it lacks
            importlib.import_module("torchvision")


def _array(item: Any) -> np.ndarray:
    return array(item) if hasattr(item, "detach") else np.array(item)


def within(low: int, high: int | None, sample: int) -> int:
    """Small sizes, another for every sample; zero and one are cases of their own in torch."""
    start = max(low, 2)
    return start + sample if high is None or high >= start + sample else low + sample % (high - low + 1)


def _tensor(program: Program, name: str, title: str = "") -> Tensor:
    meta = program.body.metas.get(name)
    if meta is None:
        return Tensor(title or name, np.dtype(np.int64), ())
    return Tensor(title or name, meta.dtype, tuple(_dim(item) for item in _sizes(program, name)))


def _sizes(program: Program, name: str) -> list[dict[str, Any]]:
    assert program.serialised is not None
    sizes: list[dict[str, Any]] = program.serialised["graph_module"]["graph"]["tensor_values"][name]["sizes"]
    return sizes


def _dim(size: dict[str, Any]) -> Dim:
    """A number, the name of a symbol, or the text of an expression, which stands for itself."""
    known = symbols.size(size)
    return str(size["as_expr"]["expr_str"]) if known is None else known
