"""The command line: flags and printing, nothing else. Only click is imported until a command needs more."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from netglot import __version__
from netglot.errors import BAD_INPUT, ConversionError, Origin

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from netglot.ir.graph import Graph
    from netglot.verify import Report

FILE = click.Path(path_type=Path)
MEGA = 1e6
PAGES = (".html", ".htm")  # what a report is drawn in
INTERRUPTED = 130  # as shells say it; click would say 1, which here means "not equal"


_INPUT = re.compile(r"(?P<name>.+?)(?::(?P<shape>\d+(?:x\d+)*))?(?::(?P<dtype>[a-z]+\d*))?")


def _specs(items: tuple[str, ...]) -> dict[str, Any]:
    """NAME:1x3x224x224[:float32] each, or NAME alone to cut the graph there."""
    from netglot.frontends.options import TensorSpec
    from netglot.ir.types import named

    def spec(match: re.Match[str]) -> TensorSpec:
        try:
            kind = named(match["dtype"]) if match["dtype"] else None
        except TypeError as error:
            raise ConversionError(str(error)) from None
        return TensorSpec(tuple(map(int, match["shape"].split("x"))) if match["shape"] else None, kind)

    matches = [match for item in items if (match := _INPUT.fullmatch(item))]
    return {match["name"]: spec(match) for match in matches}


def _reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """One clear message and the exit code instead of a traceback. click's own exceptions pass."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ConversionError as error:
            for problem in error.problems:
                click.echo(f"netglot: {problem}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except (click.ClickException, BrokenPipeError):  # click ends quietly where the reader is gone
            raise
        except (OSError, MemoryError) as error:
            click.echo(f"netglot: {error}", err=True)
            sys.exit(BAD_INPUT)
        except Exception as error:
            if os.environ.get("NETGLOT_DEBUG"):
                raise
            click.echo(f"netglot: a fault of netglot: {type(error).__name__}: {error}", err=True)
            click.echo("    Please report it, with what NETGLOT_DEBUG=1 prints.", err=True)
            sys.exit(BAD_INPUT)  # 1 would say that something was written

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Converts trained networks between formats, and proves that they stay equal.

    Exit codes: 0 done and equal; 1 written but not equal within tolerance; 2 bad input or usage; 3 unsupported
    operators.
    """


@main.command()
@click.option("--from", "source_format", metavar="FMT", help="Source format; told from the files if missing.")
@click.option("--to", "target_format", metavar="FMT", help="Target format; told from -o if missing.")
@click.argument("model", type=FILE)
@click.argument("weights", type=FILE, required=False)
@click.option(
    "-o", "out", type=FILE, help="What to write; by default beside you, named after the weights or the model."
)
@click.option(
    "--input", "inputs", metavar="NAME:SHAPE[:TYPE]", multiple=True, help="Of an input; an inner tensor cuts there."
)
@click.option(
    "--output", "outputs", metavar="NAME", multiple=True, help="A tensor to compute; an inner one cuts there."
)
@click.option("--signature", metavar="KEY", help="Of a SavedModel; by default serving_default.")
@click.option("--tag", metavar="TAG", help="Of a SavedModel's graph; by default serve.")
@click.option("--io-layout", type=click.Choice(["keep", "nchw", "nhwc"]), default="keep", help="Of inputs and outputs.")
@click.option("--batch", type=click.IntRange(1), help="Size of the first axis of every input.")
@click.option(
    "--quantize",
    type=click.Choice(["fp16", "int8", "uint8", "int16x8", "int8-dynamic", "int4"]),
    help="What it computes in; see docs/quantization.md.",
)
@click.option(
    "--compress", metavar="HOW", help="How weights are stored: lossless, prune:0.6, palettize:4, or some joined by +."
)
@click.option(
    "--calibrate", metavar="DATA", type=FILE, help="A folder of images, or .npz or .npy: what the network is used on."
)
@click.option("--preprocess", metavar="STEPS", help="How images become inputs: bgr,mean=104:117:123.")
@click.option(
    "--method",
    type=click.Choice(["minmax", "moving-average", "percentile", "mse", "kl"]),
    help="How ranges are chosen from the data; mse unless asked.",
)
@click.option(
    "--quantize-io", type=click.Choice(["float", "int8", "uint8"]), help="Inputs and outputs; float unless asked."
)
@click.option(
    "--max-drop", type=click.FloatRange(0, 1), help="Leave out what it takes to lose no more than this share."
)
@click.option("--evaluate", metavar="DATA", type=FILE, help="What --max-drop is measured on; else --calibrate's data.")
@click.option("--executor", metavar="WHERE", help="Who looks at the data: processes:N, threads:N or dask://HOST:PORT.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, help="C++: tasks of a layer that may run at once.")
@click.option("--exact", is_flag=True, help="C++: no convolutions by Winograd's algorithm, which rounds otherwise.")
@click.option("--protect", is_flag=True, help="C++: no name or operator of the source survives; see docs/cpp.md.")
@click.option("--salt", metavar="TEXT", help="C++: what the names of --protect are made with; random if missing.")
@click.option("--encrypt", metavar="KEY-FILE", type=FILE, help="C++: seal the weights with the 32 bytes in this file.")
@click.option("--plugin", "plugins", type=FILE, multiple=True, help="A Python file of yours that registers layers.")
@click.option("--no-verify", is_flag=True, help="Write without proving that the result is equal.")
@click.option(
    "--report", "report_file", type=FILE, help="Write the figures as JSON, too; as .html what quantisation did, drawn."
)
@click.option("--force", is_flag=True, help="Replace an existing output.")
@_reports_errors
def convert(
    source_format: str | None, target_format: str | None, model: Path, weights: Path | None, out: Path | None,
    inputs: tuple[str, ...], no_verify: bool, report_file: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Converts MODEL (with WEIGHTS) to another format and verifies the result."""
    if out is None and target_format is None:
        raise click.UsageError("say --to FMT or -o OUT")
    from netglot.convert import convert as run

    target = out or _default_output(weights or model, str(target_format))
    if report_file:
        shrinks = bool(options["quantize"] or options["compress"])
        _require_report(report_file, [target, model, weights, options["calibrate"], options["evaluate"]], shrinks)
    with _progress(f"{model.name} → {target.name}") as tell:
        report = run(
            model, target, weights=weights, source_format=source_format, target_format=target_format,
            inputs=_specs(inputs), verify=not no_verify, progress=tell, **options,
        )  # fmt: skip
    _finish(report, report_file)


def _require_report(report_file: Path, others: list[Path | None], shrinks: bool) -> None:
    """`others`: files that the report must not replace. `shrinks`: whether there is something to draw."""
    origin = Origin(str(report_file))
    if report_file.is_dir() or not report_file.parent.is_dir():
        raise ConversionError("the report can't be written there", origin)
    if report_file.resolve() in [other.resolve() for other in others if other]:
        raise ConversionError("the report would replace a file of this conversion", origin)
    if report_file.suffix in PAGES and not shrinks:
        what = "a page shows what --quantize or --compress did, and neither is asked for"
        raise ConversionError(what, origin, "Say --report FILE.json.")


def _default_output(source: Path, target_format: str) -> Path:
    from netglot import formats

    name = source.name.rpartition(":")[2]  # of package.module:factory
    stem = name.removesuffix(".h5").rsplit(".", 1)[0]
    return Path(stem + formats.get(target_format).suffixes[0])


@main.command()
@click.argument("model", type=FILE)
@click.argument("weights", type=FILE, required=False)
@click.option("--text", "as_text", is_flag=True, help="The whole graph as text.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@_reports_errors
def inspect(model: Path, weights: Path | None, as_text: bool, as_json: bool) -> None:
    """Shows what MODEL holds; a Caffe prototxt can be inspected without weights."""
    if as_text and as_json:
        raise click.UsageError("--text or --json, not both")
    from netglot.convert import load

    graph = load(model, weights, placeholders=True)
    if as_text:
        from netglot.ir.text import to_text

        click.echo(to_text(graph))
    elif as_json:
        import json

        click.echo(json.dumps(_summary(graph), indent=2))
    else:
        _print_summary(graph)
    _print_warnings(graph.warnings)


def _summary(graph: Graph) -> dict[str, Any]:
    import dataclasses

    from netglot.ir.statistics import statistics

    def tensors(values: Any) -> list[dict[str, Any]]:
        return [{"name": v.name, "dtype": str(v.dtype), "shape": list(v.shape or ())} for v in values]

    figures = dataclasses.asdict(statistics(graph))
    return {"name": graph.name, "inputs": tensors(graph.inputs), "outputs": tensors(graph.outputs)} | figures


def _print_summary(graph: Graph) -> None:
    from netglot.ir.types import text

    summary = _summary(graph)
    table = _table(f"{summary['name']}", "", "")
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for value in values:
            table.add_row(kind, f"{value.name}: {value.dtype} {text(value.shape)}")
    table.add_row("operators", "\n".join(f"{count} {op}" for op, count in summary["ops"].items()))
    table.add_row("parameters", f"{summary['parameters']:,}")
    table.add_row("multiply-accumulates", f"{summary['macs']:,}")
    table.add_row("weights", f"{summary['weight_bytes'] / MEGA:.2f} MB")
    table.add_row("activations at once", f"{summary['peak_bytes'] / MEGA:.2f} MB")
    _console().print(table)


@main.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--inputs", type=FILE, help="An .npz file of inputs, instead of random ones.")
@click.option("--samples", type=click.IntRange(1), default=4, show_default=True, help="How many random inputs.")
@click.option("--rtol", type=click.FloatRange(0, 1), help="Tolerance relative to an output's largest value.")
@click.option("--key", type=FILE, help="The key file of an encrypted C++ folder.")
@_reports_errors
def verify(source: Path, target: Path, **options: Any) -> None:
    """Runs SOURCE and TARGET on the same inputs and compares every element of every output."""
    from netglot.convert import verify as run

    with _progress(f"{source.name} = {target.name}?"):
        report = run(source, target, **options)
    _finish(report, None)


@main.command()
@click.argument("map_file", metavar="MAP", type=FILE)
@click.argument("report", type=click.File(errors="replace"), default="-")
@_reports_errors
def unmap(map_file: Path, report: TextIO) -> None:
    """Puts the source's names back into REPORT, a crash report of a protected model; MAP was written with the model."""
    from netglot.backends.cpp.protect import read_map
    from netglot.backends.cpp.protect import unmap as run

    click.echo(run(report.read(), read_map(map_file.read_bytes())), nl=False)


@main.command()
@_reports_errors
def formats() -> None:
    """Lists every source and target format, with how many operators each covers."""
    from netglot.coverage import coverage

    table = _table("Formats", "format", "reads", "writes", "files")
    for row in coverage():
        table.add_row(row.title, row.reads, row.writes, row.files)
    _console().print(table)


@main.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@_reports_errors
def validate(files: tuple[Path, ...]) -> None:
    """Checks that each of FILES parses, its graph is sound and its weights are finite."""
    from netglot.convert import validate as run
    from netglot.formats import files as parts

    failed = 0
    for file in dict.fromkeys(parts(file, None)[0] if ".mlpackage" in str(file) else file for file in files):
        try:
            graph = run(file)
            click.echo(f"{file}: ok, {len(graph.nodes())} operators")
        except ConversionError as error:
            failed = max(failed, error.exit_code)
            for problem in error.problems:
                click.echo(f"netglot: {file}: {problem}", err=True)
    sys.exit(failed)


# -------------------------------------------------------------------- printing


def _finish(report: Report, report_file: Path | None) -> None:
    if report_file and report_file.suffix in PAGES and report.quantization:
        report.quantization.to_html(report_file, force=True)
    elif report_file:
        report_file.write_text(report.to_json() + "\n")
    _print_warnings(report.warnings)
    _print_report(report)
    sys.exit(report.exit_code)


def _print_report(report: Report) -> None:
    if report.seconds:
        click.echo(
            f"{report.target}: {report.size / MEGA:.2f} MB, {report.nodes} operators, {report.seconds:.2f} s, "
            f"{report.peak_memory / MEGA:.0f} MB peak memory"
        )
    if report.quantization:
        report.quantization.print(_console())
    if not report.verified:
        click.echo("not verified")
        return
    table = _table("", "output", "shape", "difference / largest value", "")
    for output in report.outputs:
        shape = "x".join(map(str, output.shape))
        verdict = output.why or ("equal" if output.ok(report.rtol) else f"worst at {list(output.worst)}")
        table.add_row(output.name, shape, f"{output.error:.2e}", verdict)
    _console().print(table)
    click.echo(f"{'equal' if report.ok else 'NOT EQUAL'} within {report.rtol:g} on {report.samples} samples")
    click.echo(f"expected: {report.expected_by}; computed: {report.computed_by}")
    if report.first_departure:
        click.echo(f"the first tensor that departs is {report.first_departure}")


def _print_warnings(warnings: Any) -> None:
    for warning in warnings:
        click.echo(f"netglot: warning: {warning}", err=True)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A spinner with the elapsed time on a terminal, nothing in a pipe. Gives a function (step, done, of how many)."""
    if not sys.stderr.isatty():
        yield lambda step, done, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)

        def tell(step: str, done: int, count: int) -> None:
            progress.update(task, description=f"{what}: {step}", completed=done, total=count)

        yield tell
