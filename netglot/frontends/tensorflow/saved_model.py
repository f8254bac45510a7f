"""A SavedModel: a folder with the graph, the checkpoint of its variables and its assets (saved_model.proto)."""

from __future__ import annotations

from pathlib import Path

from netglot.errors import ConversionError, Origin
from netglot.frontends.tensorflow.metagraph import MetaGraph, meta_graph, tags
from netglot.frontends.tensorflow.proto import Message

FILES = ("saved_model.pb", "saved_model.pbtxt")
SERVE = "serve"


def file_of(folder: Path) -> Path:
    """The file in the folder of a SavedModel that holds the graph; ConversionError if there is none."""
    found = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if found is None:
        raise ConversionError(f"there is no {' or '.join(FILES)} in the folder", Origin(str(folder)))
    return found


def choose(view: memoryview, tag: str | None, file: str) -> MetaGraph:
    """The graph that is tagged `tag`, else the one to serve, else the only one. ConversionError lists the tags."""
    graphs = [(tags(item.bytes), item.bytes) for item in Message(view).all(2)]
    if not graphs:
        raise ConversionError("the SavedModel holds no graph", Origin(file))
    names = set((tag or SERVE).split(","))
    matching = [item for item in graphs if names <= set(item[0])]
    exact = [item for item in matching if names == set(item[0])]
    wanted = exact or matching or (graphs if tag is None else [])
    if len(wanted) != 1:
        there = "; ".join(",".join(item[0]) or "no tag" for item in graphs)
        what = f"no graph is tagged '{tag:.80}'" if tag and not wanted else "it is not clear which graph is meant"
        raise ConversionError(f"{what}: the SavedModel has graphs tagged {there}", Origin(file), "Say which: --tag TAG")
    return meta_graph(wanted[0][1], file)
