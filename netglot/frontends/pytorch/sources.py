"""What a file, or an object in memory, is, and the exported program that it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.options import LoadOptions
from netglot.frontends.pytorch import program as programs
from netglot.frontends.pytorch.archive import Archive, Weights, saved
from netglot.frontends.pytorch.program import Program

_EXPORT = "Load the module in Python, then torch.export.save(torch.export.export(module.eval(), args), 'model.pt2')."
_OLD_PROGRAM = "serialized_exported_program.json"  # torch 2.1 to 2.6


def read(path: Path, options: LoadOptions) -> Program | Archive:
    """The program in a file that torch wrote (of TorchScript: its archive, which holds code instead).

    ConversionError, with what to do, for what holds none.
    """
    origin = Origin(str(path))
    with path.open("rb") as file:
        start = file.read(8)
    if not start.startswith(b"PK"):
        raise ConversionError(_refusal(start), origin, _EXPORT)
    archive = Archive(path)
    models = archive.under("models/", ".json")
    if models:
        name = _chosen(models, options, origin)
        return programs.read(archive.bytes(f"models/{name}.json"), Weights(archive, name), str(path))
    if _OLD_PROGRAM in archive:
        return _old(archive)
    if "constants.pkl" in archive:
        return archive
    if "data.pkl" in archive:
        what = "this is a pickled state dict or module: weights, or Python code by reference, but no network"
        raise ConversionError(what, origin, _EXPORT)
    if archive.under("data/aotinductor"):
        raise ConversionError("this .pt2 holds compiled machine code (AOTInductor), no program", origin, _EXPORT)
    raise ConversionError("this archive holds no exported program", origin, _EXPORT)


def _refusal(start: bytes) -> str:
    if start[:1] == b"\x80" or start[1:5] == b"ustar":
        return "this is a pickle, which can run any code when it is opened; netglot does not open it"
    return "this is no file of torch.export.save or torch.jit.save"


def _chosen(models: list[str], options: LoadOptions, origin: Origin) -> str:
    names = [model.removeprefix("models/").removesuffix(".json") for model in models]
    wanted = options.signature or (names[0] if len(names) == 1 else "model")
    if wanted not in names:
        raise ConversionError(f"the archive holds {', '.join(names)}", origin, "Say which with --signature.")
    return wanted


def _old(archive: Archive) -> Program:
    weights: dict[str, np.ndarray] = {}
    for entry in ("serialized_state_dict.pt", "serialized_constants.pt"):
        if entry in archive and archive.entries[entry].file_size:
            weights |= saved(archive, entry)
    return programs.read(archive.bytes(_OLD_PROGRAM), weights, str(archive.path))


def of_exported(exported: Any, name: str) -> Program:
    """The program of a torch.export.ExportedProgram in memory; its weights are not copied."""
    from netglot.frontends.pytorch import archive as archives

    data = serialised(exported)
    tensors = {**exported.state_dict, **{key: item for key, item in exported.constants.items() if _is_tensor(item)}}
    arrays = {key: archives.array(tensor, key, Origin(name)) for key, tensor in tensors.items()}
    return programs.of_json(data, arrays, name)


def _is_tensor(item: Any) -> bool:
    import torch

    return isinstance(item, torch.Tensor)


def serialised(exported: Any) -> dict[str, Any]:
    """The JSON that torch.export.save would write of the program, without the weights."""
    try:
        from torch._export.serde import serialize as serde
    except ImportError:
        raise ConversionError("this version of torch can't be asked for its program", hint=_EXPORT) from None
    try:
        module = serde.GraphModuleSerializer(exported.graph_signature, exported.module_call_graph).serialize(
            exported.graph_module
        )
        ranges = serde.serialize_range_constraints(exported.range_constraints)
    except Exception as error:  # serialize.SerializeError, AssertionError...: what torch can't write down
        raise ConversionError(f"torch can't write this program down: {error}", hint=_EXPORT) from None
    plain = {"graph_module": serde._dataclass_to_dict(module), "range_constraints": serde._dataclass_to_dict(ranges)}
    found: dict[str, Any] = json.loads(json.dumps(plain, cls=serde.EnumEncoder))
    return found
