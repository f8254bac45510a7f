"""TorchScript: what torch.jit.save wrote, of a traced or a scripted module.

The file is code and pickles, and neither is trusted: the pickles are read as descriptions (pickles.py), the code is
parsed, and `forward` is run on symbols (interpreter.py). torch itself is not needed. What the file does not say are
the shapes of the inputs: the user does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.pytorch.archive import Archive
from netglot.frontends.pytorch.builder import Complex, TorchBuilder
from netglot.frontends.pytorch.pickles import Instance, described
from netglot.frontends.pytorch.torchscript.code import Code, Function
from netglot.frontends.pytorch.torchscript.conversions import kind_of
from netglot.frontends.pytorch.torchscript.interpreter import Frame, Interpreter
from netglot.frontends.pytorch.torchscript.state import State
from netglot.frontends.pytorch.torchscript.tensors import Memory, Tensor
from netglot.frontends.pytorch.torchscript.values import Dict, List, NamedTuple, RaisedError, leaves
from netglot.ir.graph import Graph, Value

_FLOAT = np.dtype(np.float32)


def load(path: Path, archive: Archive, options: LoadOptions) -> Graph:
    """The graph of `forward`, for inputs of the shapes (and types; float32 where none is said) in `options.inputs`.

    Outputs are called by the keys of the dict, or the fields of the tuple, that `forward` returns, otherwise output_0,
    output_1... ConversionError where the file is damaged or no shapes are given.
    """
    try:
        return _Loader(path, archive, options).graph()
    except (RecursionError, MemoryError) as error:
        raise ConversionError(
            f"the program is nested too deeply or far too large ({type(error).__name__})", Origin(str(path))
        ) from None


class _Loader:
    def __init__(self, path: Path, archive: Archive, options: LoadOptions) -> None:
        self.options, self.origin = options, Origin(str(path))
        if "byteorder" in archive and archive.bytes("byteorder", 16) != b"little":
            raise ConversionError("it was written on a machine of the other byte order", self.origin)
        self.module = described(archive.bytes("data.pkl"), self.origin)
        if not isinstance(self.module, Instance):
            raise ConversionError("there is no module in it", self.origin)
        self.g = TorchBuilder(Graph(path.stem))
        self.g.origin = self.origin
        constants = described(archive.bytes("constants.pkl"), self.origin)
        if not isinstance(constants, (tuple, list)):
            raise ConversionError("its constants are no list", self.origin)
        state, code = State(archive, self.module), Code(archive)
        self.run = Interpreter(self.g, code, state, constants, _version(archive))

    def graph(self) -> Graph:
        forward = self.run.code.class_of(self.module.kind).methods.get("forward")
        if forward is None:
            raise ConversionError("the module has no forward", self.origin)
        arguments = self.inputs(forward)
        try:
            result = self.run.function(forward, [self.module, *arguments], {}, Frame({}))
        except RaisedError as error:
            raise ConversionError(f"for these inputs the network raises an exception: {error}", self.g.origin) from None
        except UnsupportedError as error:
            known = [problem for problem in error.problems if problem not in self.run.problems]
            raise UnsupportedError([*self.run.problems, *known]) from None
        if self.run.problems:
            raise UnsupportedError(list(dict.fromkeys(self.run.problems)))
        leaves(result)  # refuses one without end
        for i, (name, value) in enumerate(_outputs(result)):
            self.add_output(name or f"output_{i}", value)
        if not self.g.graph.outputs:
            raise ConversionError("forward returns no tensor", self.origin)
        self.notes()
        return self.g.graph

    def notes(self) -> None:
        if self.run.state.changed:
            what = "the module changes its own state when it runs; the converted model does not"
            self.g.graph.warnings.append(Problem(what, self.origin))

    # ------------------------------------------------------------------- inputs

    def inputs(self, forward: Function) -> list[Any]:
        """A value for every argument of `forward` but self."""
        parameters = forward.parameters[1:]
        self.check_names([name for name, _, _ in parameters])
        missing = [name for name, annotation, default in parameters
                   if default is None and not self.given(name) and _is_tensor(annotation)]  # fmt: skip
        if missing:
            shapes = " ".join(f"--input {name}:1x3x224x224" for name in missing)
            what = f"a TorchScript file does not say the shapes of its inputs ({', '.join(missing)})"
            hint = f"Say them: {shapes}; in Python: inputs={{'{missing[0]}': (1, 3, 224, 224)}}"
            raise ConversionError(what, self.origin, hint)
        return [self.argument(*parameter) for parameter in parameters]

    def check_names(self, names: list[str]) -> None:
        unknown = [name for name in self.options.inputs if name.partition(".")[0] not in names]
        if unknown:
            raise ConversionError(
                f"forward has no input {', '.join(unknown)}; its inputs are {', '.join(names)}", self.origin
            )

    def given(self, name: str) -> list[str]:
        """What the user says of an argument: of its parts, where it is a tuple, list or dict (`hx.0`, `hx.1`)."""
        return [key for key in self.options.inputs if key == name or key.startswith(f"{name}.")]

    def argument(self, name: str, annotation: ast.expr | None, default: ast.expr | None) -> Any:
        given = self.given(name)
        if name in given:
            return self.tensor(name)
        if given:
            return self.parts(name, annotation, given)
        if default is None:
            what = f"the input '{name}' is {_text(annotation)}"
            hint = f"Give the shapes of its parts: --input {name}.0:1x3 --input {name}.1:1x3"
            raise ConversionError(what, self.origin, hint)
        return self.run.value(default, Frame({}))

    def parts(self, name: str, annotation: ast.expr | None, given: list[str]) -> Any:
        keys = [key[len(name) + 1 :] for key in given]
        if "Dict" in _text(annotation):
            return Dict((key, self.tensor(f"{name}.{key}")) for key in keys)
        if keys != [str(i) for i in range(len(keys))]:
            raise ConversionError(f"the parts of '{name}' are {name}.0, {name}.1..., in this order", self.origin)
        items = [self.tensor(f"{name}.{key}") for key in keys]
        return List(items) if "List" in _text(annotation) else tuple(items)

    def tensor(self, name: str) -> Tensor:
        spec = self.options.inputs.get(name, TensorSpec())
        shape = self.options.shape(name, spec.shape)
        if shape is None:
            raise ConversionError(f"the input '{name}' needs a shape", self.origin, f"--input {name}:1x3x224x224")
        self.options.note_batch(self.g.graph, name, spec.shape)
        return Tensor(Memory(self.g.graph.add_input(name, spec.dtype or _FLOAT, shape)))

    # ------------------------------------------------------------------ outputs

    def add_output(self, name: str, item: Any) -> None:
        graph = self.g.graph
        value = self.run.tensors.read(self.g, item) if isinstance(item, Tensor) else item
        if isinstance(value, Complex):
            raise UnsupportedError(f"the output '{name}' is complex", self.origin, "Return torch.view_as_real of it.")
        if not isinstance(value, Value):
            value = self.g.constant(np.array(value, np.float32 if isinstance(value, float) else None))
        if value.is_constant or value in graph.inputs or value in graph.outputs:
            value = self.g.plain("Identity", value)
        if value.name != name:
            if name in graph:
                graph.rename(graph[name], graph.unique_name(f"{name}/inner"))
            graph.rename(value, name)
        graph.outputs.append(value)


def _version(archive: Archive) -> int:
    text = archive.bytes("version", 64) if "version" in archive else b""
    try:
        return int(text)
    except ValueError:
        raise ConversionError("it does not say the version of its format", archive.origin) from None


def _text(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)


def _is_tensor(annotation: ast.expr | None) -> bool:
    return _text(annotation) in ("", "Tensor", "Optional[Tensor]")


def _outputs(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Tensors and numbers of what forward returns, with their names as far as it has any."""
    if isinstance(tree, (Tensor, Value, bool, int, float)):
        yield name, tree
    elif isinstance(tree, dict):
        for key, item in tree.items():
            yield from _outputs(item, f"{name}.{key}" if name else str(key))
    elif isinstance(tree, (list, tuple)):
        names = tree.fields if isinstance(tree, NamedTuple) else [str(i) if name else "" for i in range(len(tree))]
        for key, item in zip(names, tree, strict=True):
            yield from _outputs(item, f"{name}.{key}" if name else key)
    elif not isinstance(tree, (str, NoneType)):  # which are no tensors, and say nothing that the network computes
        raise ConversionError(f"forward returns {kind_of(tree)}")
