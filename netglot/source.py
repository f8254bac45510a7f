"""What is read: a model in files, or of Keras or PyTorch in memory, and the runtime that it is proven against."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from netglot import formats
from netglot.errors import ConversionError, Origin
from netglot.formats import Format
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.ir.graph import Graph, Value
from netglot.ir.types import text

if TYPE_CHECKING:
    from netglot.runtimes.base import Runtime

F = TypeVar("F", bound=Callable[..., Any])
PathLike = str | Path
Inputs = Mapping[str, TensorSpec | Sequence[int]]


@dataclass(frozen=True)
class Model:
    """A source on the disk with everything said about it."""

    path: Path
    weights: Path | None
    format: Format
    options: LoadOptions = field(default_factory=LoadOptions)
    outputs: tuple[str, ...] = ()
    program: Any = None  # of PyTorch, in memory: an ExportedProgram

    @property
    def changed(self) -> bool:
        """Whether the user asked for something else than the file as it is."""
        options = self.options
        if self.format.name == "pytorch":  # a program runs with all the sizes that it allows
            return bool(self.outputs or (options.inputs and self.program is None))
        return bool(self.outputs or options.inputs or options.batch or options.mean or options.signature or options.tag)


def model_of(
    path: PathLike, weights: PathLike | None = None, source_format: str | None = None,
    options: LoadOptions = LoadOptions(), outputs: Sequence[str] = (), program: Any = None,
) -> Model:  # fmt: skip
    if program is not None:
        name = path if isinstance(path, PathLike) else type(path).__name__
        return Model(Path(name), None, formats.get("pytorch"), options, tuple(outputs), program)
    first, second = formats.files(Path(path), Path(weights) if weights else None)
    for item in (first, second):
        if item is not None and not item.exists():
            raise ConversionError("there is no such file", Origin(str(item)))
    source = formats.get(source_format) if source_format else formats.detect(first)
    if second is not None and not source.takes_weights:
        raise ConversionError(
            f"{source.title} has no weights file beside the model", Origin(str(second)), "-o says what to write."
        )
    return Model(first, second, source, options, tuple(outputs))


def options_of(
    inputs: Inputs | None = None, batch: int | None = None, mean: PathLike | None = None, placeholders: bool = False,
    outputs: tuple[str, ...] = (), signature: str | None = None, tag: str | None = None,
) -> LoadOptions:  # fmt: skip
    given = (inputs or {}).items()
    specs = {name: item if isinstance(item, TensorSpec) else TensorSpec(tuple(item)) for name, item in given}
    return LoadOptions(specs, batch, placeholders, Path(mean) if mean else None, outputs, signature, tag)


def from_memory(function: F) -> F:
    """Lets `function` take a Keras model in memory where it takes a file."""

    @wraps(function)
    def run(model: object, *args: Any, **kwargs: Any) -> Any:
        from netglot.frontends.keras import live

        if not live.is_model(model):
            return function(model, *args, **kwargs)
        with live.saved(model) as path:
            return function(path, *args, **kwargs)

    return cast(F, run)


def program_of(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None, dynamic_shapes: Any,
             source_format: str | None, options: LoadOptions) -> Any:  # fmt: skip
    """The ExportedProgram of what PyTorch has in memory, or of what the user's factory makes; None for a file."""
    is_text = isinstance(model, PathLike)
    if is_text and source_format != "pytorch":
        return None
    from netglot.frontends.pytorch import live

    if is_text:
        return live.made(str(model), options) if live.is_factory(str(model)) else None
    if not live.is_model(model):
        raise ConversionError(f"a {type(model).__name__} is neither a file's name nor a model of Keras or PyTorch")
    return live.exported(model, args, kwargs, dynamic_shapes)


def read(model: Model) -> Graph:
    graph: Graph = model.format.load(model.program or model.path, model.weights, model.options)
    _cut(graph, model)
    if not graph.outputs:
        raise ConversionError("the network computes nothing: it has no outputs", Origin(str(model.path)))
    graph.check()
    return graph


def _cut(graph: Graph, model: Model) -> None:
    """--input and --output on inner tensors."""
    inner = [_inner(graph, name, spec) for name, spec in model.options.inputs.items()]
    added = [value for value in inner if value not in graph.inputs]
    outputs = [_value(graph, name) for name in model.outputs]
    if not added and not outputs:
        return
    keep = [value for value in graph.inputs if value in inner] if added else graph.inputs
    graph.cut(list(dict.fromkeys([*keep, *added])) if added else None, outputs or None)


def _inner(graph: Graph, name: str, spec: TensorSpec) -> Value:
    """The tensor that `--input` names; an inner one has the size and type it has."""
    value = _value(graph, name)
    if value in graph.inputs:
        return value
    if spec.shape not in (None, value.shape) or spec.dtype not in (None, value.dtype):
        raise ConversionError(f"'{name}' is {value.dtype}[{text(value.shape)}] here; --input can't change that")
    return value


def _value(graph: Graph, name: str) -> Value:
    if name in graph:
        return graph[name]
    import difflib

    near = difflib.get_close_matches(name, [value.name for value in graph.values()], n=3)
    raise ConversionError(f"there is no tensor '{name}'" + (f"; near: {', '.join(near)}" if near else ""))


def open_source(source: Model, graph: Graph | None = None) -> Runtime:
    """The source's own runtime on its own file, where there is one; otherwise its graph on ONNX Runtime."""
    why = ""
    if source.format.runtime and not source.changed and _runs_here(source):
        try:
            runtime: Runtime = source.format.open(source.program or source.path)
            return runtime
        except ConversionError as error:
            if source.format.name != "pytorch":
                raise
            why = f"; {error.problems[0].what:.160}"  # an operator of a library that is not here, say
    from netglot.runtimes.onnxruntime import OnnxRuntime

    runtime = OnnxRuntime(graph if graph is not None else read(source))
    runtime.name += f" (the graph read from {source.format.title}{why})"
    return runtime


def _runs_here(source: Model) -> bool:
    if source.format.name == "pytorch":  # torch is not needed to read a .pt2, and no reference for TorchScript
        has_torch = importlib.util.find_spec("torch") is not None
        return has_torch and (source.program is not None or source.path.suffix == ".pt2")
    return source.format.name != "coreml" or sys.platform == "darwin"


@cache
def load_plugin(path: Path) -> None:
    """Runs the user's file, which registers layers of their own (see docs/plugins.md); once in a process."""
    spec = importlib.util.spec_from_file_location(f"netglot_plugin_{path.stem}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise ConversionError("not a Python file", Origin(str(path)))
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as error:  # whatever the user's own code raises
        raise ConversionError(f"the plugin failed: {type(error).__name__}: {error}", Origin(str(path))) from error
