"""What a TensorFlow model consists of, read from whichever of its files was named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.tensorflow import saved_model, text
from netglot.frontends.tensorflow.checkpoint import Checkpoint, exists, prefix_of
from netglot.frontends.tensorflow.messages import FunctionName, GraphDef, NodeDef, OpDef, graph
from netglot.frontends.tensorflow.metagraph import MetaGraph, Saver, Signature, meta_graph
from netglot.frontends.tensorflow.objects import SavedObjects
from netglot.frontends.tensorflow.proto import Message
from netglot.frontends.wire import BYTES, VARINT, map_file

DEFAULT_SIGNATURE = "serving_default"
_INTERNAL = "__saved_model_"  # what begins so is no signature: how tables are filled and training is done


@dataclass(frozen=True, slots=True, eq=False)
class TFModel:
    """A model as its files hold it.

    `signature` is the one that was chosen; None where there is none at all (a frozen graph). `saver` says what in the
    graph restores the variables of `checkpoint`. `asset_files` maps tensors to the names of files in `assets`.
    """

    path: Path
    graph: GraphDef
    signature: Signature | None = None
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    saver: Saver | None = None
    objects: SavedObjects | None = None
    assets: Path | None = None
    asset_files: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, OpDef] = field(default_factory=dict)

    @property
    def restore(self) -> str:
        """The node that restores the variables; empty if none is known."""
        return self.saver.restore if self.saver else ""

    def variable_keys(self) -> dict[str, str]:
        """The checkpoint's key of each variable, by name, as far as the objects of the files tell it.

        Names in the graph are unique, the variables' own need not be: what a function captures says which is which.
        """
        tracked = self.checkpoint.objects() if self.checkpoint else None
        by_name = tracked.by_full_name() if tracked else {}
        if self.objects is None:
            return by_name
        keys = self.objects.keys(tracked)
        captured = {name: keys[number] for name, number in self._captures() if number in keys}
        return {**by_name, **self.objects.variable_keys(tracked), **captured}

    def _captures(self) -> Iterator[tuple[str, int]]:
        """The variables that the graph passes to its functions, by name, with the number of the object that each is."""
        bound_inputs = self.objects.bound_inputs if self.objects else {}
        names = {node.name: _shared_name(node) for node in self.graph.nodes}
        for node in self.graph.nodes:
            function = node.attributes.get("f")
            bound = bound_inputs.get(function.name, ()) if isinstance(function, FunctionName) else ()
            inputs = [name.removesuffix(":0") for name in node.inputs if name[:1] != "^"]
            for name, number in zip(inputs[len(inputs) - len(bound) :], bound, strict=False):
                yield names.get(name, name), number


def _shared_name(node: NodeDef) -> str:
    """What a variable is called, which is its node's name if nothing else is said."""
    name = node.attributes.get("shared_name")
    return name if isinstance(name, str) and name else node.name


def read(path: Path, weights: Path | None = None, signature: str | None = None, tag: str | None = None) -> TFModel:
    """Reads a SavedModel (the folder or its file), a frozen graph (.pb, .pbtxt) or a MetaGraph (.meta).

    `weights` is the checkpoint, by its prefix or any of its files, where it does not lie beside the model. `signature`
    and `tag` choose where there are several. ConversionError if the files are not whole, or there is no such choice.
    """
    file = saved_model.file_of(path) if path.is_dir() else path
    try:
        return _read(path, file, weights, signature, tag)
    except (ValueError, OverflowError) as error:
        raise ConversionError(f"not a whole TensorFlow model: {error}", Origin(str(file))) from None


def _read(path: Path, file: Path, weights: Path | None, signature: str | None, tag: str | None) -> TFModel:
    view = map_file(file)
    view, kind = _encoded(view, file)
    if kind == "SavedModel":
        chosen = saved_model.choose(view, tag, str(file))
        checkpoint = _checkpoint(weights, file.parent / "variables" / "variables")
        return _model(path, chosen, checkpoint, signature, file.parent)
    if tag is not None:
        raise ConversionError(f"there is no tag '{tag:.80}': this is no SavedModel", Origin(str(file)))
    if kind == "MetaGraphDef":
        beside = file.with_suffix("") if file.suffix == ".meta" else None
        return _model(path, meta_graph(view, str(file)), _checkpoint(weights, beside), signature, file.parent)
    if signature is not None:
        hint = "Name --input and --output instead."
        raise ConversionError("a frozen graph has no signatures", Origin(str(file)), hint)
    found = graph(view, str(file))
    if not found.nodes and not found.functions:
        raise ConversionError("not a TensorFlow model: the graph has no nodes", Origin(str(file)))
    return TFModel(path, found, checkpoint=_checkpoint(weights, None))


def _encoded(view: memoryview, file: Path) -> tuple[memoryview, str]:
    """The binary form of a file and which message it is."""
    if file.suffix == ".pbtxt" or text.is_text(view):
        return text.encoded(view, str(file))
    return view, _kind(view, file)


def _kind(view: memoryview, file: Path) -> str:
    """Which message a binary file is, by fields that only that message has."""
    message = Message(view)
    wires = {number: {item.wire for item in message.all(number)} for number in (1, 2, 3)}
    if wires[1] == {VARINT} and wires[2] <= {BYTES}:
        return "SavedModel"
    return "MetaGraphDef" if file.suffix == ".meta" or BYTES in wires[3] else "GraphDef"


def _model(
    path: Path, chosen: MetaGraph, checkpoint: Checkpoint | None, signature: str | None, folder: Path
) -> TFModel:
    signatures = {name: item for name, item in chosen.signatures.items() if not name.startswith(_INTERNAL)}
    return TFModel(
        path,
        chosen.graph,
        _chosen(signatures, signature, Origin(str(path))),
        signatures,
        checkpoint,
        chosen.saver,
        chosen.objects,
        folder / "assets" if (folder / "assets").is_dir() else None,
        chosen.assets,
        chosen.operations,
    )


def _chosen(signatures: Mapping[str, Signature], wanted: str | None, origin: Origin) -> Signature | None:
    """The signature `wanted`, the one to serve, or the only one; None if there is none."""
    if not signatures and wanted is None:
        return None
    only = next(iter(signatures)) if len(signatures) == 1 else DEFAULT_SIGNATURE
    name = wanted or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in signatures else only)
    if name not in signatures:
        what = f"there is no signature '{name:.80}'" if wanted else "it is not clear which signature is meant"
        there = ", ".join(signatures) or "none"
        raise ConversionError(f"{what}: the model has {there}", origin, "Say which: --signature NAME")
    return _dense(name, signatures[name], origin)


def _dense(name: str, signature: Signature, origin: Origin) -> Signature:
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for key, info in tensors.items():
            if not info.name:
                raise UnsupportedError(f"{kind} '{key}' of the signature '{name}' is a sparse or ragged tensor", origin)
    return signature


def _checkpoint(weights: Path | None, beside: Path | None) -> Checkpoint | None:
    """The checkpoint that was named, else the one beside the model, if there is one."""
    if weights is not None:
        return Checkpoint(weights)
    return Checkpoint(beside) if beside is not None and exists(prefix_of(beside)) else None
