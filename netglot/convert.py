"""The one story: load a model, improve its graph, write it for the target, prove that it is equal."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from netglot import formats
from netglot.atomic import require_free, size, whole
from netglot.errors import ConversionError, Origin, Problem
from netglot.formats import Format
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.wire import release_pages
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Shape, is_static, text
from netglot.passes import pipeline
from netglot.passes.io_layout import change_io_layout
from netglot.shrinking import request_of, taken

if TYPE_CHECKING:
    from netglot.quantize.request import Request
    from netglot.quantize.shrink import Progress, Shrunk
    from netglot.runtimes.base import Runtime, Tensor
    from netglot.verify import Report

F = TypeVar("F", bound=Callable[..., Any])
PathLike = str | Path
Inputs = Mapping[str, TensorSpec | Sequence[int]]
SAMPLES = 4  # one of each kind of netglot.verify.inputs.KINDS


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


@dataclass(frozen=True)
class Target:
    """What is to be written: where, in which format, and how (layout of inputs and outputs, numbers, weights)."""

    path: Path
    format: Format
    io_layout: str = "keep"
    shrink: Request | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of the format's writer: Format.options
    progress: Progress | None = None

    @property
    def is_half(self) -> bool:
        return self.shrink is not None and self.shrink.quantize == "fp16"

    @property
    def map_file(self) -> Path | None:
        """Where the owner of a protected model finds its names; beside the target, never in it."""
        return self.path.with_name(self.path.name + ".map.json") if self.options.get("protect") else None

    def open(self) -> Runtime:
        """The runtime that computes what was written."""
        secrets = {"key": self.options.get("encrypt"), "names": self.options.get("map_file")}
        given = {name: Path(item) for name, item in secrets.items() if item}
        if not given:
            return _open(Model(self.path, None, self.format))
        return cast("Runtime", self.format.open(self.path, **given))


def _target(
    path: PathLike, target_format: str | None, io_layout: str, shrinking: Mapping[str, Any], options: Mapping[str, Any],
    progress: Progress | None = None,
) -> Target:  # fmt: skip
    """Raises ConversionError, before any work is done, for what can't be written."""
    chosen = formats.get(target_format) if target_format else formats.detect(Path(path))
    chosen.require_writer()
    asked = {name: value for name, value in options.items() if _is_asked(name, value)}
    unknown = [name for name in asked if name not in chosen.options]
    if unknown:
        raise ConversionError(f"{chosen.title} has no option {', '.join(unknown)}")
    return Target(Path(path), chosen, io_layout, request_of(chosen, shrinking), asked, progress)


def _is_asked(name: str, value: Any) -> bool:
    """Whether it is more than what the command line gives where an option is not said. What is empty is asked for, too:
    no key file must not mean no encryption."""
    return value is not None and value is not False and (name, value) != ("threads", 1)


def _from_memory(function: F) -> F:
    """Lets `function` take a Keras model in memory where it takes a file."""

    @wraps(function)
    def run(model: object, *args: Any, **kwargs: Any) -> Any:
        from netglot.frontends.keras import live

        if not live.is_model(model):
            return function(model, *args, **kwargs)
        with live.saved(model) as path:
            return function(path, *args, **kwargs)

    return cast(F, run)


def _program(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None, dynamic_shapes: Any,
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


@_from_memory
def load(
    model: PathLike, weights: PathLike | None = None, *, source_format: str | None = None,
    inputs: Inputs | None = None, outputs: Sequence[str] = (), batch: int | None = None, mean: PathLike | None = None,
    placeholders: bool = False, signature: str | None = None, tag: str | None = None, args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None, dynamic_shapes: Any = None,
) -> Graph:  # fmt: skip
    """Reads a model, a file or a Keras or PyTorch model in memory, into a Graph.

    inputs: shapes (or TensorSpec) for inputs by name; naming an inner tensor cuts the graph there. outputs: names of
    the tensors to compute, inner ones too. batch: size of every input's first axis. mean: a Caffe mean image
    (.binaryproto) that is subtracted from the first input. placeholders: weights may be missing (to inspect a network).
    signature, tag: which part of a SavedModel. args, kwargs, dynamic_shapes: for a torch.nn.Module, as
    torch.export.export takes them.
    """
    options = _options(inputs, batch, mean, placeholders, tuple(outputs), signature, tag)
    program = _program(model, args, kwargs, dynamic_shapes, source_format, options)
    return _load(_model(model, weights, source_format, options, outputs, program))


def _require_other(path: Path, source: Model, target: Target) -> None:
    """What is written replaces nothing that is read, not even with --force: it may turn out not to be equal."""
    read = [source.path, source.weights, target.options.get("encrypt")]
    for item in (Path(each).resolve() for each in read if each is not None and Path(each).exists()):
        if path.resolve() in (item, *item.parents):
            raise ConversionError(
                f"the output would replace '{item.name}', which this conversion reads", Origin(str(path))
            )


def _options(
    inputs: Inputs | None = None, batch: int | None = None, mean: PathLike | None = None, placeholders: bool = False,
    outputs: tuple[str, ...] = (), signature: str | None = None, tag: str | None = None,
) -> LoadOptions:  # fmt: skip
    given = (inputs or {}).items()
    specs = {name: item if isinstance(item, TensorSpec) else TensorSpec(tuple(item)) for name, item in given}
    return LoadOptions(specs, batch, placeholders, Path(mean) if mean else None, outputs, signature, tag)


def _model(
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


def _load(model: Model) -> Graph:
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


def save(
    graph: Graph, path: PathLike, *, target_format: str | None = None, io_layout: str = "keep",
    quantize: str | None = None, compress: str | None = None, force: bool = False, **options: Any,
) -> int:  # fmt: skip
    """Writes a copy of `graph` to `path` after the target's passes; returns the number of operators written.

    quantize, compress and what goes with them: as for convert(). options: what the target's writer takes besides (C++:
    threads, exact, protect, salt, encrypt; see docs/cpp.md). Raises UnsupportedError with every operator that the
    target lacks.
    """
    shrinking = {"quantize": quantize, "compress": compress} | taken(options)
    target = _target(path, target_format, io_layout, shrinking, options)
    with _whole(target, force) as written:
        return _write(graph.copy(), written).nodes


@contextmanager
def _whole(target: Target, force: bool) -> Iterator[Target]:
    """`target` as it is written: files of another name, which take the places of those asked for once all is done."""
    with whole(target.path, force) as path:
        if target.map_file is None:
            yield replace(target, path=path)
            return
        with whole(target.map_file, force) as map_file:
            yield replace(target, path=path, options={**target.options, "map_file": map_file})


@dataclass
class Written:
    """What was written: how many operators, the graph just before the writer, and what netglot.quantize made of it."""

    nodes: int
    graph: Graph
    warnings: list[Problem]
    shrunk: Shrunk | None = None

    @property
    def is_changed(self) -> bool:
        """Whether other numbers are due than the source's: they are compared with the quantised graph's instead."""
        return self.shrunk is not None and self.shrunk.is_changed


def _write(graph: Graph, target: Target) -> Written:
    """The common passes and what is asked of netglot.quantize on `graph`, then the target's passes and writer."""
    if target.format.name != "onnx":
        _require_static(graph)
    pipeline.run(graph, pipeline.COMMON)
    options, shrunk = dict(target.options), None
    if target.shrink is not None:
        from netglot.quantize.shrink import shrink

        shrunk = shrink(graph, target.format.name, target.shrink, target.progress)
        graph, options = shrunk.graph, options | shrunk.options
    change_io_layout(graph, target.io_layout)
    release_pages()  # weights that were folded into others are in memory twice
    before = graph.copy() if shrunk else graph
    nodes = target.format.save(graph, target.path, **options)
    return Written(nodes, before, graph.warnings, shrunk)


def _require_static(graph: Graph) -> None:
    for value in graph.inputs:
        if not is_static(value.shape):
            example = "x".join(str(dim) if isinstance(dim, int) else "1" for dim in value.shape or ("1",))
            raise ConversionError(
                f"the input '{value.name}' has the shape {text(value.shape)}, and this target needs sizes",
                hint=f"Give them: --input {value.name}:{example}",
            )


@_from_memory
def convert(
    model: PathLike, target: PathLike, *, weights: PathLike | None = None, source_format: str | None = None,
    target_format: str | None = None, inputs: Inputs | None = None, outputs: Sequence[str] = (),
    batch: int | None = None, mean: PathLike | None = None, io_layout: str = "keep", quantize: str | None = None,
    compress: str | None = None, plugins: Iterable[PathLike] = (), verify: bool = True, samples: int = SAMPLES,
    rtol: float | None = None, force: bool = False, signature: str | None = None, tag: str | None = None,
    args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, dynamic_shapes: Any = None,
    progress: Progress | None = None, **options: Any,
) -> Report:  # fmt: skip
    """Converts `model` (a file, or a model of Keras or PyTorch) to `target` and verifies the result on random inputs.

    weights to mean, signature to dynamic_shapes: as for load(); where the model leaves the batch size open, targets
    that need sizes get 1. io_layout: "keep", "nchw" or "nhwc" for inputs and outputs of rank 4. quantize, compress,
    calibrate, preprocess, method, quantize_io, max_drop, evaluate, executor: see netglot.quantize.shrink.Request and
    docs/quantization.md; what they did is in Report.quantization. plugins: Python files of the user's that register
    layers. verify, samples: whether, and on how many inputs. rtol: tolerance relative to an output's largest value; by
    default 1e-5, or 1e-2 in half precision, 1e-4 for C++ that is not `exact`, and that of integers for integers. force:
    replace a target. progress: called with (what, done, of how many) while data is looked at. options: what the
    target's writer takes besides (C++: threads, exact, protect, salt, encrypt; docs/cpp.md).

    Raises ConversionError for bad input, UnsupportedError (with every operator that can't be converted); then nothing
    is written. A result that is not equal is no error: see Report.ok.
    """
    from netglot.verify.report import Report

    start = time.perf_counter()
    for plugin in plugins:
        load_plugin(Path(plugin).resolve())  # one file is one plugin, whatever it is called
    shrinking = {"quantize": quantize, "compress": compress} | taken(options)
    to = _target(target, target_format, io_layout, shrinking, options, progress)
    reading = _options(inputs, batch, mean, False, tuple(outputs), signature, tag)
    reading = replace(reading, default_batch=None if to.format.name == "onnx" else 1)  # the others need sizes
    program = _program(model, args, kwargs, dynamic_shapes, source_format, reading)
    source = _model(model, weights, source_format, reading, outputs, program)
    for path in filter(None, (to.path, to.map_file)):
        require_free(path, force)
        _require_other(path, source, to)
    graph = _load(source)
    report = Report(str(source.path), str(to.path), warnings=graph.warnings)
    report.rtol = _tolerance(graph, to) if rtol is None else rtol
    with _whole(to, force) as to:
        written = _write(graph.copy() if verify else graph, to)
        report.nodes, report.warnings = written.nodes, written.warnings  # the target's too
        report.seconds, report.size = time.perf_counter() - start, size(to.path)
        if written.shrunk is not None:
            report.quantization = written.shrunk.report
        if verify and written.is_changed:  # before it is moved into place: what can't be verified is not left behind
            _prove_shrunk(report, written, to, samples)
        elif verify:
            _prove(report, source, graph, to, samples)
    report.peak_memory = _peak_memory()
    return report


def _prove(report: Report, source: Model, graph: Graph, target: Target, samples: int) -> None:
    from netglot.verify import differences, random_inputs

    expected, actual = _open(source, graph), target.open()
    report.expected_by, report.computed_by = expected.name, actual.name
    inputs = random_inputs(_as_fixed(expected, actual), samples, sizes=expected.sizes)
    report.outputs, report.samples = differences(expected, actual, inputs, tame=True)
    if not report.ok:
        report.first_departure = _bisect(graph, target, report.rtol)


def _prove_shrunk(report: Report, written: Written, target: Target, samples: int) -> None:
    """The target computes what the quantised graph does, on the data that it was calibrated with where there is some.

    How far that graph is from the source is not judged here: it was measured, and is in the report.
    """
    from netglot.quantize.shrink import fitted, measured_in_float
    from netglot.runtimes.onnxruntime import OnnxRuntime
    from netglot.verify import differences, random_inputs

    assert written.shrunk is not None
    graph = measured_in_float(written.graph) if target.format.name == "tflite" else written.graph
    expected, actual = OnnxRuntime(graph), target.open()
    report.expected_by = f"{expected.name} (the quantised graph)"
    report.computed_by = actual.name
    data = fitted(written.shrunk, written.graph, samples)
    inputs = random_inputs(expected.inputs, samples) if data is None else data
    report.outputs, report.samples = differences(expected, actual, inputs, tame=data is None)
    if not report.ok:
        report.first_departure = _bisect(written.graph, replace(target, shrink=None), report.rtol)


def _as_fixed(expected: Runtime, actual: Runtime) -> list[Tensor]:
    """The inputs of `expected` with the sizes that the target has fixed (the batch, say)."""
    fixed = {tensor.name: tensor.shape for tensor in actual.inputs}
    return [replace(tensor, shape=_narrowed(tensor.shape, fixed.get(tensor.name, ()))) for tensor in expected.inputs]


def _narrowed(shape: Shape, fixed: Shape) -> Shape:
    if is_static(shape) or len(shape) != len(fixed):
        return shape
    return tuple(
        other if not isinstance(dim, int) and isinstance(other, int) and other > 0 else dim
        for dim, other in zip(shape, fixed, strict=True)
    )


def _tolerance(graph: Graph, target: Target) -> float:
    """The default: that of half precision where the source or the target computes in it, or of rearranged sums."""
    from netglot.verify import RTOL

    if target.shrink is not None and target.shrink.quantize not in (None, "fp16"):
        return RTOL["integers"]
    if target.format.name == "tflite" and _on_integers(graph):
        return RTOL["integers"]
    if target.is_half or any(value.dtype == np.float16 for value in graph.values()):
        return RTOL["float16"]
    rearranges = target.format.name == "cpp" and not target.options.get("exact")
    return RTOL["rearranged" if rearranges else "float32"]


def _on_integers(graph: Graph) -> bool:
    """Whether the source is quantised already: what lies between its steps LiteRT computes on integers."""
    return any(node.op in _INTEGER_OPS and not node.domain for node in graph.nodes())


_INTEGER_OPS = frozenset({
    "ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear",
})  # fmt: skip


def _open(source: Model, graph: Graph | None = None) -> Runtime:
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

    runtime = OnnxRuntime(graph if graph is not None else _load(source))
    runtime.name += f" (the graph read from {source.format.title}{why})"
    return runtime


def open_model(path: PathLike, weights: PathLike | None = None) -> Runtime:
    """A model ready to run: by its own runtime, or read into a Graph and run by ONNX Runtime where it has none here."""
    return _open(_model(path, weights))


def _open_target(path: Path, key: PathLike | None) -> Runtime:
    written = _model(path)
    map_file = path.with_name(path.name + ".map.json")
    secrets = {"encrypt": key, "map_file": map_file if map_file.exists() else None}
    return Target(path, written.format, options=secrets).open() if written.format.name == "cpp" else _open(written)


def _runs_here(source: Model) -> bool:
    if source.format.name == "pytorch":  # torch is not needed to read a .pt2, and no reference for TorchScript
        has_torch = importlib.util.find_spec("torch") is not None
        return has_torch and (source.program is not None or source.path.suffix == ".pt2")
    return source.format.name != "coreml" or sys.platform == "darwin"


def _bisect(graph: Graph, target: Target, rtol: float) -> str:
    """Where the target departs: converts the graph cut at one tensor after another."""
    from netglot.verify import first_departure

    nodes = [node for node in graph.nodes() if node.output.dtype is not None and node.output.dtype.kind == "f"]
    found = first_departure([node.output.name for node in nodes], lambda name: _departs(graph, name, target, rtol))
    node = graph.producer(graph[found]) if found else None
    return f"'{found}' of {node.op} ({node.origin})" if node else ""


def _departs(graph: Graph, name: str, target: Target, rtol: float) -> bool:
    from netglot.runtimes.onnxruntime import OnnxRuntime
    from netglot.verify import differences, random_inputs

    part = graph.copy()
    part.cut(outputs=[part[name]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"part{target.format.suffixes[0]}"
        plain = {name: item for name, item in target.options.items() if name in ("threads", "exact")}
        written = replace(target, path=path, options=plain)
        _write(part.copy(), written)
        expected, actual = OnnxRuntime(part), written.open()
        found, _ = differences(expected, actual, random_inputs(expected.inputs, SAMPLES), tame=True)
    return not all(output.ok(rtol) for output in found)


def verify(
    source: PathLike, target: PathLike, *, weights: PathLike | None = None, inputs: PathLike | None = None,
    samples: int = SAMPLES, rtol: float | None = None, key: PathLike | None = None,
) -> Report:  # fmt: skip
    """Compares two models: same inputs, same outputs. `inputs`: an .npz file instead of `samples` random ones.

    key: of a C++ folder with encrypted weights. A protected folder's map file is looked for beside it.
    """
    from netglot.verify import RTOL, Report, differences, random_inputs, read_inputs

    expected, actual = open_model(source, weights), _open_target(Path(target), key)
    is_half = any(tensor.dtype == np.float16 for tensor in (*expected.outputs, *actual.outputs))
    report = Report(str(source), str(target), rtol=RTOL["float16" if is_half else "float32"] if rtol is None else rtol)
    report.expected_by, report.computed_by = expected.name, actual.name
    data = read_inputs(Path(inputs), expected.inputs) if inputs else random_inputs(expected.inputs, samples)
    report.outputs, report.samples = differences(expected, actual, data, tame=inputs is None)
    report.size, report.peak_memory = size(Path(target)), _peak_memory()
    return report


def validate(path: PathLike) -> Graph:
    """Reads a model, checks its graph and that its weights are finite; raises ConversionError otherwise.

    A Caffe prototxt without weights beside it is checked without them.
    """
    file, weights = formats.files(Path(path), None)
    graph = load(file, weights, placeholders=weights is None)
    bad = [value.name for value in graph.constants() if not _is_finite(value.array)]
    if bad:
        raise ConversionError(
            [Problem(f"the weights '{name}' hold NaN or infinity", Origin(str(path))) for name in bad]
        )
    return graph


def _is_finite(array: np.ndarray) -> bool:
    """Looks once at elements that stand for many (weights that are not given)."""
    once = array[tuple(slice(None) if step else slice(1) for step in array.strides)]
    return array.dtype.kind != "f" or bool(np.isfinite(once).all())


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


def _peak_memory() -> int:
    """Bytes of resident memory at the worst moment of this process; 0 where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
