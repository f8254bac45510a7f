"""What is written: the common passes, what is asked of netglot.quantize, the target's passes and its writer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from netglot import formats
from netglot.atomic import whole
from netglot.errors import ConversionError, Origin, Problem
from netglot.formats import Format
from netglot.frontends.wire import release_pages
from netglot.ir.graph import Graph
from netglot.ir.types import is_static, text
from netglot.passes import pipeline
from netglot.passes.io_layout import change_io_layout
from netglot.shrinking import request_of
from netglot.source import Model, PathLike, open_source

if TYPE_CHECKING:
    from netglot.quantize.request import Request
    from netglot.quantize.shrink import Progress, Shrunk
    from netglot.runtimes.base import Runtime


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
            return open_source(Model(self.path, None, self.format))
        return cast("Runtime", self.format.open(self.path, **given))


def target_of(
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


def require_other(path: Path, source: Model, target: Target) -> None:
    """What is written replaces nothing that is read, not even with --force: it may turn out not to be equal."""
    files = [source.path, source.weights, target.options.get("encrypt")]
    for item in (Path(each).resolve() for each in files if each is not None and Path(each).exists()):
        if path.resolve() in (item, *item.parents):
            raise ConversionError(
                f"the output would replace '{item.name}', which this conversion reads", Origin(str(path))
            )


@contextmanager
def whole_target(target: Target, force: bool) -> Iterator[Target]:
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


def write(graph: Graph, target: Target) -> Written:
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
