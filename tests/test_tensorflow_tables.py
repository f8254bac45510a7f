"""Lookup tables of SavedModels, however they are filled, against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import ConversionError
from netglot.runtimes.onnxruntime import OnnxRuntime

WORDS = np.array(["dog", "x", "", "cat", "bird", "dog\r"], object)
NUMBERS = np.array([3, -5, 0, 7], np.int64)


def text_table(tf: Any, path: Path, key: int, value: int, key_dtype: Any, value_dtype: Any, default: Any) -> Any:
    source = tf.lookup.TextFileInitializer(str(path), key_dtype, key, value_dtype, value, delimiter=" ")
    return tf.lookup.StaticHashTable(source, default)


def constant_table(tf: Any, folder: Path) -> Callable[[Any], Any]:
    keys = tf.constant(["cat", "dog", ""])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, tf.constant([4, 5, 6])), -1)
    return lambda words, numbers: (table.lookup(words), table.size())


def numbers_to_words(tf: Any, folder: Path) -> Callable[[Any], Any]:
    keys, values = tf.constant([7, 3], tf.int64), tf.constant(["seven", "three"])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), "?")
    return lambda words, numbers: (table.lookup(tf.reshape(numbers, [2, 2])),)


def words_to_truth(tf: Any, folder: Path) -> Callable[[Any], Any]:
    keys, values = tf.constant(["dog", "cat", ""]), tf.constant([True, False, True])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), False)
    return lambda words, numbers: (table.lookup(words),)


def file_of_lines(tf: Any, folder: Path) -> Callable[[Any], Any]:
    (folder / "lines.txt").write_bytes(b"cat\ndog\r\nbird")
    table = text_table(tf, folder / "lines.txt", -2, -1, tf.string, tf.int64, -1)
    return lambda words, numbers: (table.lookup(words), table.size())


def file_of_columns(tf: Any, folder: Path) -> Callable[[Any], Any]:
    (folder / "columns.txt").write_text("cat 3 0.5\ndog 7 -1.25\n")
    to_number = text_table(tf, folder / "columns.txt", 1, 2, tf.int64, tf.float32, 9.0)
    to_word = text_table(tf, folder / "columns.txt", 1, 0, tf.int64, tf.string, "none")
    return lambda words, numbers: (to_number.lookup(numbers), to_word.lookup(numbers))


def changeable(tf: Any, folder: Path) -> Callable[[Any], Any]:
    """Its content is in the checkpoint."""
    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, -1.0)
    table.insert([3, 7], [1.5, 2.5])
    function = lambda words, numbers: (table.lookup(numbers),)  # noqa: E731
    function.table = table
    return function


def of_vectors(tf: Any, folder: Path) -> Callable[[Any], Any]:
    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, [-1.0, -2.0, -3.0])
    table.insert([3, 7], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    function = lambda words, numbers: (table.lookup(numbers),)  # noqa: E731
    function.table = table
    return function


def dense(tf: Any, folder: Path) -> Callable[[Any], Any]:
    table = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, empty_key=-100, deleted_key=-200)
    table.insert([3, 7], [30, 70])
    function = lambda words, numbers: (table.lookup(numbers),)  # noqa: E731
    function.table = table
    return function


def saved(tf: Any, make: Callable[[Any, Path], Any], folder: Path) -> tuple[Path, Mapping[str, np.ndarray]]:
    """The SavedModel of what `make` makes, and what TensorFlow computes with it."""
    module, function = tf.Module(), make(tf, folder)
    module.tables = [cell.cell_contents for cell in function.__closure__ or ()]
    module.run = tf.function(
        lambda words, numbers: {f"y{i}": y for i, y in enumerate(function(words, numbers))},
        input_signature=[tf.TensorSpec([None], tf.string, "words"), tf.TensorSpec([None], tf.int64, "numbers")],
    )
    tf.saved_model.save(module, str(folder / "model"), signatures=module.run)
    return folder / "model", {k: v.numpy() for k, v in module.run(tf.constant(WORDS), tf.constant(NUMBERS)).items()}


MAKERS = [
    constant_table, numbers_to_words, words_to_truth, file_of_lines, file_of_columns, changeable, of_vectors, dense,
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_lookups_find_what_tensorflow_finds(make: Callable[[Any, Path], Any], tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    path, expected = saved(tf, make, tmp_path)
    graph = load(path)
    graph.check()
    given = {"words": WORDS, "numbers": NUMBERS}
    for value in graph.inputs:
        value.shape = (len(given[value.name]),)
    found = OnnxRuntime(graph).run({value.name: given[value.name] for value in graph.inputs})
    for name, wanted in expected.items():
        wanted = np.vectorize(bytes.decode, otypes=[object])(wanted) if wanted.dtype == object else wanted
        assert found[name].dtype == wanted.dtype
        np.testing.assert_array_equal(found[name], wanted)


EMPTY = {"empty_key": np.int64(-100)}
BY_NAME = [
    ("HashTable", {}, "InitializeTable", ""),
    ("HashTableV2", {}, "InitializeTableV2", "V2"),
    ("MutableHashTable", {}, "LookupTableImport", ""),
    ("MutableHashTableV2", {}, "LookupTableImportV2", "V2"),
    ("MutableHashTableOfTensors", {"value_shape": [2]}, "LookupTableImport", ""),
    ("MutableHashTableOfTensorsV2", {"value_shape": [2]}, "LookupTableImportV2", "V2"),
    ("MutableDenseHashTable", EMPTY, "LookupTableImport", ""),
    (
        "MutableDenseHashTableV2",
        {**EMPTY, "deleted_key": np.int64(-200), "value_shape": [2]},
        "LookupTableImportV2",
        "V2",
    ),
]


@pytest.mark.parametrize(("table", "options", "fill", "version"), BY_NAME, ids=[row[0] for row in BY_NAME])
def test_tables_are_filled_by_nodes_of_the_graph(
    table: str, options: dict[str, Any], fill: str, version: str, tmp_path: Path
) -> None:
    tf = pytest.importorskip("tensorflow")
    raw, width = tf.raw_ops, options.get("value_shape", [])
    values = np.float32([[1.5, 2.5], [3.5, 4.5]]) if width else np.float32([1.5, 2.5])
    default = np.full(width, -1, np.float32)
    typed = {"value_dtype": tf.float32} if "Dense" in table else {"key_dtype": tf.int64, "value_dtype": tf.float32}
    with tf.Graph().as_default() as graph:
        keys = tf.compat.v1.placeholder(tf.int64, [4], name="keys")
        made = getattr(raw, table)(**typed, **options)
        getattr(raw, fill)(table_handle=made, keys=np.array([3, 7]), values=values)
        found = getattr(raw, f"LookupTableFind{version}")(table_handle=made, keys=keys, default_value=default)
        tf.identity(found, name="y")
        tf.identity(getattr(raw, f"LookupTableSize{version}")(table_handle=made), name="size")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    read = load(tmp_path / "graph.pb", outputs=["y", "size"])
    computed = OnnxRuntime(read).run({"keys": NUMBERS})
    np.testing.assert_array_equal(computed["y"], [values[0], default, default, values[1]])
    assert computed["size"] == 2


@pytest.mark.parametrize("version", ["", "V2"])
def test_a_file_of_a_table_is_found_beside_a_meta_graph(version: str, tmp_path: Path) -> None:
    """Its name in the graph is a path of the computer that wrote it."""
    tf = pytest.importorskip("tensorflow")
    raw = tf.raw_ops
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "lines.txt").write_text("cat\ndog\nbird\n")
    with tf.Graph().as_default():
        words = tf.compat.v1.placeholder(tf.string, [6], name="words")
        table = getattr(raw, f"HashTable{version}")(key_dtype=tf.string, value_dtype=tf.int64)
        fill = getattr(raw, f"InitializeTableFromTextFile{version}")
        fill(table_handle=table, filename="/far/away/lines.txt", key_index=-2, value_index=-1, vocab_size=2)
        find = getattr(raw, f"LookupTableFind{version}")
        tf.identity(find(table_handle=table, keys=words, default_value=np.int64(-1)), name="y")
        tf.compat.v1.train.export_meta_graph(str(tmp_path / "model.meta"))
    found = OnnxRuntime(load(tmp_path / "model.meta", outputs=["y"])).run({"words": WORDS})
    assert found["y"].tolist() == [1, -1, -1, 0, -1, -1]  # the third line is beyond the vocabulary


def test_what_a_table_holds_must_be_in_the_model(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    path, _ = saved(tf, file_of_lines, tmp_path)
    (path / "assets" / "lines.txt").unlink()
    with pytest.raises(ConversionError, match=r"no file 'lines\.txt'") as raised:
        load(path)
    assert raised.value.exit_code == 2


def test_a_file_outside_of_the_assets_is_not_read(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    path, _ = saved(tf, file_of_lines, tmp_path)
    (path / "assets" / "lines.txt").unlink()
    (path / "assets" / "lines.txt").symlink_to(tmp_path / "lines.txt")
    with pytest.raises(ConversionError, match="outside"):
        load(path)


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    path, _ = saved(tf, file_of_columns, tmp_path)
    (path / "assets" / "columns.txt").write_text("cat\n")
    with pytest.raises(ConversionError, match="no column"):
        load(path)
    (path / "assets" / "columns.txt").write_text("cat 3 zero\n")
    with pytest.raises(ConversionError, match="does not hold float32"):
        load(path)
