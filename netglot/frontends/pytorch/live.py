"""Modules and exported programs in memory, and modules that a function of the user's makes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.pytorch import sources
from netglot.frontends.pytorch.program import Program
from netglot.ir.types import static


def is_model(item: object) -> bool:
    """Whether `item` is a torch.nn.Module or an ExportedProgram, without importing torch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    program = getattr(getattr(torch, "export", None), "ExportedProgram", None)
    return isinstance(item, torch.nn.Module) or (program is not None and isinstance(item, program))


def exported(
    module: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, dynamic_shapes: Any = None
) -> Any:
    """The ExportedProgram of a module for these example arguments; ConversionError with torch's reason."""
    import torch

    if isinstance(module, torch.export.ExportedProgram):
        return module
    if isinstance(module, torch.jit.ScriptModule):
        raise ConversionError(
            "a TorchScript module in memory", hint="Save it (module.save('model.pt')) and give the file."
        )
    if not args and not kwargs:
        raise ConversionError("a module needs example inputs", hint="netglot.load(module, args=(torch.randn(...),))")
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return torch.export.export(module, tuple(args), dict(kwargs or {}), dynamic_shapes=dynamic_shapes)
    except Exception as error:  # torch raises many kinds, with long explanations
        raise ConversionError(f"torch.export can't export this module: {error}") from error
    finally:
        module.train(training)


def program(exported_program: Any, name: str) -> Program:
    return sources.of_exported(exported_program, name)


# ------------------------------------------------------------------------ factories


def is_factory(text: str) -> bool:
    """Whether `text` names a function: package.module:function, or path/to/file.py:function."""
    place, _, name = text.rpartition(":")
    return bool(place) and name.isidentifier() and not Path(text).exists()


def made(text: str, options: LoadOptions) -> Any:
    """The ExportedProgram of the module that the user's function makes, for inputs of the sizes given by --input.

    The user named the code, so it is run, with the working directory on the path, as `python -m` would.
    """
    place, _, name = text.rpartition(":")
    module = _function(place, name, Origin(text))()
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ConversionError(f"{name}() made a {type(module).__name__}, not a torch.nn.Module", Origin(text))
    if not options.inputs:
        raise ConversionError("say the shapes of the inputs", Origin(text), "--input x:1x3x224x224")
    return exported(module, kwargs={key: _example(key, spec, options) for key, spec in options.inputs.items()})


def _function(place: str, name: str, origin: Origin) -> Any:
    try:
        found = getattr(_module(place), name)
    except ConversionError:
        raise
    except Exception as error:  # whatever the user's own code raises
        raise ConversionError(f"{type(error).__name__}: {error}", origin) from error
    if not callable(found):
        raise ConversionError(f"{name} can't be called", origin)
    return found


def _module(place: str) -> Any:
    if not place.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    if spec is None or spec.loader is None or not Path(place).exists():
        raise ConversionError("not a Python file", Origin(place))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _example(name: str, spec: TensorSpec, options: LoadOptions) -> Any:
    import torch

    if spec.shape is None:
        raise ConversionError(f"the input '{name}' needs a shape", hint=f"--input {name}:1x3x224x224")
    shape = static(options.shape(name, spec.shape))
    dtype = spec.dtype or np.dtype(np.float32)
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape) if dtype.kind == "f" else np.zeros(shape)
    return torch.from_numpy(np.asarray(values).astype(dtype))
