"""Lookup tables: what fills them is run aside, what reads them becomes a comparison with all of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Problem
from netglot.frontends.paths import inside
from netglot.frontends.tensorflow.builder import Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.messages import FunctionName, NodeDef
from netglot.frontends.tensorflow.run import Frame, Runner
from netglot.frontends.tensorflow.shape import chosen
from netglot.frontends.tensorflow.variables import Variables
from netglot.ir.graph import Value

_FILLS = {
    "InitializeTable", "InitializeTableV2", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2",
    "LookupTableImport", "LookupTableImportV2",
}  # fmt: skip
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_WHOLE_LINE, _LINE_NUMBER = -2, -1


@dataclass(frozen=True)
class Table:
    """Keys, and the value of each."""

    keys: np.ndarray
    values: np.ndarray


class Tables:
    """The contents of the model's tables, by name. All are filled when the first is asked for."""

    def __init__(self, runner: Runner, variables: Variables) -> None:
        self.runner, self.variables = runner, variables
        self.tables: dict[str, Table] = {}
        self.problems: list[Problem] = []  # why some could not be filled
        self.tracing = self.traced = False

    def table(self, g: TFBuilder, handle: Handle) -> Table:
        """ConversionError if nothing in the model fills the table."""
        if not self.traced:
            self.traced = True
            self.fill()
        if handle.name not in self.tables:
            what = Problem(f"nothing in the model tells what the table '{handle.name}' holds", g.origin)
            raise ConversionError([what, *self.problems])
        return self.tables[handle.name]

    def fill(self) -> None:
        """Runs every part of the main graph that fills a table: nodes, and calls of functions with such nodes."""
        frame = self.runner.aside("tables")
        frame.arguments.update(self.assets())
        for node in frame.nodes.values():
            if self.is_filling(node):
                self.run(frame, node.name)

    def run(self, frame: Frame, name: str) -> None:
        problems, before = self.runner.problems, len(self.runner.problems)
        was, restoring = self.tracing, self.variables.tracing
        self.tracing = self.variables.tracing = True
        try:
            self.runner.require(frame, name)
        except ConversionError as error:
            self.problems += error.problems
        finally:
            self.tracing, self.variables.tracing = was, restoring
        self.problems += problems[before:]
        del problems[before:]

    def trace(self, frame: Frame) -> None:
        """Runs what fills tables in a function that is called while they are filled."""
        if self.tracing:
            for node in frame.nodes.values():
                if self.is_filling(node):
                    self.runner.require(frame, node.name)

    def is_filling(self, node: NodeDef) -> bool:
        return node.op in _FILLS or (node.op in _CALLS and _called(node) in self.filling_functions)

    @cached_property
    def filling_functions(self) -> set[str]:
        """The functions with nodes that fill tables, and those that call them."""
        functions, found = self.runner.functions, set[str]()
        before = -1
        while before != len(found):
            before = len(found)
            for name, function in functions.items():
                if any(node.op in _FILLS or _called(node) in found for node in function.nodes):
                    found.add(name)
        return found

    # -------------------------------------------------------------------- assets

    def assets(self) -> Iterator[tuple[str, Handle]]:
        """The tensors that are the names of assets: those that the model says, and what reads the variables of them."""
        files = {name.removesuffix(":0"): Handle("file", file) for name, file in self.runner.model.asset_files.items()}
        yield from files.items()
        nodes = self.runner.main.nodes.values()
        assigned = [node.inputs for node in nodes if node.op == "AssignVariableOp" and len(node.inputs) > 1]
        variables = {inputs[0]: files[inputs[1]] for inputs in assigned if inputs[1] in files}
        for node in nodes:
            if node.op == "ReadVariableOp" and node.inputs and node.inputs[0] in variables:
                yield node.name, variables[node.inputs[0]]

    def asset(self, g: TFBuilder, file: Handle | Value) -> Path:
        """The file of an asset, in the model's own folder; a name that is a constant is that of another computer."""
        if isinstance(file, Handle):
            name = file.name
        else:
            name = str(g.static(file, "the name of the file").item()).replace("\\", "/").rpartition("/")[2]
        folder = self.runner.model.assets
        path = inside(folder, name) if folder else None
        if path is None:
            raise ConversionError(f"the model's assets have no file '{name:.80}'", g.origin)
        return path


def _called(node: NodeDef) -> str:
    found = node.attributes.get("f")
    return found.name if isinstance(found, FunctionName) else ""


# ----------------------------------------------------------------- making and filling


@tf_op("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2")
def hash_table(g: TFBuilder, *, shared_name: str = "", use_node_name_sharing: bool = False) -> Handle:
    return Handle("table", shared_name or g.origin.layer)


@tf_op("MutableHashTableOfTensors", "MutableHashTableOfTensorsV2")
def table_of_tensors(
    g: TFBuilder, *, shared_name: str = "", use_node_name_sharing: bool = False, value_shape: Any = ()
) -> Handle:
    return Handle("table", shared_name or g.origin.layer)


@tf_op("MutableDenseHashTable", "MutableDenseHashTableV2")
def dense_table(
    g: TFBuilder, empty_key: Value, deleted_key: Value | None = None, *, shared_name: str = "",
    use_node_name_sharing: bool = False, value_shape: Any = (), initial_num_buckets: int = 0,
    max_load_factor: float = 0.0,
) -> Handle:  # fmt: skip
    """The checkpoint holds all of its places; the keys that mark those without a value are no keys of the table."""
    marks = [g.static(key, "the key that marks a place") for key in (empty_key, deleted_key) if key is not None]
    if any(key.ndim for key in marks):
        raise g.unsupported("keys that are vectors")
    return Handle(
        "table", shared_name or g.origin.layer, extra={"marks": marks, "value_shape": tuple(value_shape or ())}
    )


@tf_op("InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2", handles=True)
def fill_table(g: TFBuilder, table: Handle, keys: Handle | Value, values: Handle | Value) -> tuple[()]:
    found = Table(_known(g, keys), _known(g, values))
    _put(g, table, _without_empty_places(found, **table.extra) if table.extra else found)
    return ()


def _without_empty_places(table: Table, marks: list[np.ndarray], value_shape: tuple[int, ...]) -> Table:
    keys = table.keys.reshape(-1)
    is_used = ~np.isin(keys, [mark.item() for mark in marks])
    return Table(keys[is_used], table.values.reshape(len(keys), *value_shape)[is_used])


def _put(g: TFBuilder, handle: Handle, table: Table) -> None:
    if not g.reader.tables.tracing:
        raise g.unsupported("the network changes a table while it runs")
    if len(table.keys) != len(table.values):
        raise ConversionError(f"{len(table.keys)} keys and {len(table.values)} values", g.origin)
    g.reader.tables.tables[handle.name] = table


def _known(g: TFBuilder, x: Handle | Value) -> np.ndarray:
    """A constant, or what the checkpoint holds."""
    if isinstance(x, Value):
        return g.static(x, "what a table holds")
    checkpoint = g.reader.model.checkpoint
    if x.kind != "restored" or checkpoint is None or x.name not in checkpoint:
        raise ConversionError(f"the checkpoint has no '{x.name}'", g.origin)
    found: np.ndarray = checkpoint.array(x.name)
    return found


@tf_op("InitializeTableFromTextFile", "InitializeTableFromTextFileV2", handles=True)
def fill_table_from_file(
    g: TFBuilder, table: Handle, filename: Handle | Value, *, key_index: int, value_index: int, vocab_size: int = -1,
    delimiter: str = "\t", offset: int = 0,
) -> tuple[()]:  # fmt: skip
    """Columns of the lines of a text file; -2 is the whole line, -1 its number."""
    if offset:
        raise g.unsupported("an offset into the file")
    lines = _lines(g, g.reader.tables.asset(g, filename))
    lines = lines if vocab_size < 0 else lines[:vocab_size]
    columns = (_column(g, lines, index, delimiter) for index in (key_index, value_index))
    _put(g, table, Table(*columns))
    return ()


def _lines(g: TFBuilder, path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode().replace("\r", "")
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"can't read '{path.name}' as text: {error}", g.origin) from None
    return text.removesuffix("\n").split("\n") if text else []


def _column(g: TFBuilder, lines: list[str], index: int, delimiter: str) -> np.ndarray:
    """Numbers stay text until it is known of which type they are to be."""
    if index == _LINE_NUMBER:
        return np.arange(len(lines))
    parts = [[line] if index == _WHOLE_LINE else line.split(delimiter) for line in lines]
    at = max(index, 0)
    if any(len(part) <= at for part in parts):
        raise ConversionError(f"some lines of the table's file have no column {index}", g.origin)
    return np.array([part[at] for part in parts], object)


# ----------------------------------------------------------------- reading


@tf_op("LookupTableFind", "LookupTableFindV2", handles=True)
def find(g: TFBuilder, table: Handle, keys: Value, default_value: Value) -> Value:
    """The value of the first key that equals, or the default."""
    held = g.reader.tables.table(g, table)
    known, values = _typed(g, held.keys, keys.dtype), _typed(g, held.values, default_value.dtype)
    if not len(known):
        return g.Expand(default_value, g.Shape(keys))
    hit = g.Cast(g.Equal(g.Unsqueeze(keys, [keys.rank]), known), to=6)
    found = g.Gather(values, g.ArgMax(hit, axis=-1, keepdims=0), axis=0)
    is_known = g.cast(g.ReduceMax(hit, [-1], keepdims=0), np.bool_)
    behind = list(range(keys.rank, keys.rank + values.ndim - 1))
    return chosen(g, g.Unsqueeze(is_known, behind) if behind else is_known, found, default_value)


def _typed(g: TFBuilder, items: np.ndarray, dtype: Any) -> np.ndarray:
    """What a table holds as the type that it is asked for: numbers in a text file are text."""
    if items.dtype == dtype:
        return items
    try:
        return items.astype(dtype) if dtype.kind != "O" else np.array([str(item) for item in items], object)
    except (ValueError, OverflowError) as error:
        raise ConversionError(f"the table's file does not hold {dtype}: {error}", g.origin) from None


@tf_op("LookupTableSize", "LookupTableSizeV2", handles=True)
def size(g: TFBuilder, table: Handle) -> Value:
    return g.constant(len(g.reader.tables.table(g, table).keys), np.int64)
