"""The one story: load a model, improve its graph, write it for the target, prove that it is equal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot import formats
from netglot.atomic import require_free, size
from netglot.errors import ConversionError, Origin, Problem
from netglot.ir.graph import Graph
from netglot.proof import SAMPLES, prove, prove_shrunk, tolerance
from netglot.shrinking import taken
from netglot.source import (
    Inputs,
    PathLike,
    from_memory,
    load_plugin,
    model_of,
    open_source,
    options_of,
    program_of,
    read,
)
from netglot.target import Target, require_other, target_of, whole_target, write

if TYPE_CHECKING:
    from netglot.quantize.shrink import Progress
    from netglot.runtimes.base import Runtime
    from netglot.verify import Report

__all__ = ["SAMPLES", "convert", "load", "load_plugin", "open_model", "save", "validate", "verify"]


@from_memory
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
    options = options_of(inputs, batch, mean, placeholders, tuple(outputs), signature, tag)
    program = program_of(model, args, kwargs, dynamic_shapes, source_format, options)
    return read(model_of(model, weights, source_format, options, outputs, program))


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
    target = target_of(path, target_format, io_layout, shrinking, options)
    with whole_target(target, force) as written:
        return write(graph.copy(), written).nodes


@from_memory
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
    to = target_of(target, target_format, io_layout, shrinking, options, progress)
    reading = options_of(inputs, batch, mean, False, tuple(outputs), signature, tag)
    reading = replace(reading, default_batch=None if to.format.name == "onnx" else 1)  # the others need sizes
    program = program_of(model, args, kwargs, dynamic_shapes, source_format, reading)
    source = model_of(model, weights, source_format, reading, outputs, program)
    for path in filter(None, (to.path, to.map_file)):
        require_free(path, force)
        require_other(path, source, to)
    graph = read(source)
    report = Report(str(source.path), str(to.path), warnings=graph.warnings)
    report.rtol = tolerance(graph, to) if rtol is None else rtol
    with whole_target(to, force) as to:
        written = write(graph.copy() if verify else graph, to)
        report.nodes, report.warnings = written.nodes, written.warnings  # the target's too
        report.seconds, report.size = time.perf_counter() - start, size(to.path)
        if written.shrunk is not None:
            report.quantization = written.shrunk.report
        if verify and written.is_changed:  # before it is moved into place: what can't be verified is not left behind
            prove_shrunk(report, written, to, samples)
        elif verify:
            prove(report, source, graph, to, samples)
    report.peak_memory = _peak_memory()
    return report


def open_model(path: PathLike, weights: PathLike | None = None) -> Runtime:
    """A model ready to run: by its own runtime, or read into a Graph and run by ONNX Runtime where it has none here."""
    return open_source(model_of(path, weights))


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


def _open_target(path: Path, key: PathLike | None) -> Runtime:
    written = model_of(path)
    map_file = path.with_name(path.name + ".map.json")
    secrets = {"encrypt": key, "map_file": map_file if map_file.exists() else None}
    return (
        Target(path, written.format, options=secrets).open() if written.format.name == "cpp" else open_source(written)
    )


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


def _peak_memory() -> int:
    """Bytes of resident memory at the worst moment of this process; 0 where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
