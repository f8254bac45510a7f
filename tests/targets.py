"""Writes a graph to a target and runs the file with somebody else's runtime."""

from __future__ import annotations

import importlib
import platform
import sys
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.ir.graph import Graph
from tests.oracles import SHARED

Arrays = Mapping[str, np.ndarray]


def run_onnx(graph: Graph, inputs: Arrays, folder: Path) -> dict[str, np.ndarray]:
    from netglot.backends.onnx import save
    from netglot.runtimes.onnxruntime import OnnxRuntime

    save(graph, folder / "model.onnx")
    return OnnxRuntime(folder / "model.onnx").run(inputs)


def run_tflite(graph: Graph, inputs: Arrays, folder: Path) -> dict[str, np.ndarray]:
    from netglot.backends.tflite import save
    from netglot.runtimes.litert import LiteRT

    save(graph, folder / "model.tflite")
    return LiteRT(folder / "model.tflite").run(inputs)


def run_cpp(graph: Graph, inputs: Arrays, folder: Path) -> dict[str, np.ndarray]:
    from netglot.backends.cpp import save
    from netglot.runtimes.compiled import CompiledCpp

    save(graph, folder / "cpp")
    number = zlib.crc32(graph.name.encode() + str(len(graph.nx)).encode())
    optimised = "-O2" if number % 4 == 0 else "-O0"  # compiling takes the time
    flags = [optimised, "-Wall", "-Wextra", "-Werror", f"-DNETGLOT_ONLY={_turn(number // 4, cpp_levels())}"]
    return CompiledCpp(folder / "cpp", flags, cache=folder.parent).run(inputs)


def _turn(number: int, levels: list[int]) -> int:
    """One of the levels of instructions; another for each graph, so that all have their turn."""
    return levels[number % len(levels)]


@cache
def cpp_levels() -> list[int]:
    """The levels (runtime/isa.h) of this machine's processor."""
    if platform.machine() != "x86_64":
        return [0]
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    has_avx2, has_avx512 = " avx2 " in flags and " fma " in flags, " avx512dq " in flags and " avx512vl " in flags
    return [0] + [1] * has_avx2 + [2] * has_avx512


def run_coreml(graph: Graph, inputs: Arrays, folder: Path) -> dict[str, np.ndarray]:
    """The file read back into the graph, and that run."""
    from netglot.backends.coreml import save
    from netglot.frontends.coreml import load
    from netglot.runtimes.onnxruntime import OnnxRuntime

    save(graph, folder / "model.mlpackage")
    return OnnxRuntime(load(folder / "model.mlpackage")).run(inputs)


def run_coreml_evaluated(graph: Graph, inputs: Arrays, folder: Path) -> dict[str, np.ndarray]:
    """The file computed by the independent evaluator, which knows nothing of us."""
    from netglot.backends.coreml import save

    save(graph, folder / "model.mlpackage")
    return evaluate_coreml(folder / "model.mlpackage", inputs)


def evaluate_coreml(path: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Outputs of a package of ours by the evaluator, named and typed as the source had them."""
    from netglot.runtimes.coreml import Interface

    model = coreml_evaluator(path)
    interface = Interface(model.spec)
    return interface.restored(model.predict(interface.stored(inputs)))


def coreml_evaluator(path: Path) -> Any:
    """The model in ../shared/oracles/coreml_eval.py; skips the test where that or torch is absent."""
    oracles = SHARED / "oracles"
    if not (oracles / "coreml_eval.py").exists():
        pytest.skip("the evaluator of Core ML files (../shared/oracles/coreml_eval.py) is not here")
    pytest.importorskip("torch", reason="the evaluator of Core ML files computes with torch").set_num_threads(1)
    if str(oracles) not in sys.path:
        sys.path.append(str(oracles))
    from coreml_eval import CoreMLModel

    return CoreMLModel(str(path))


TARGETS: dict[str, Callable[[Graph, Arrays, Path], dict[str, np.ndarray]]] = {
    "onnx": run_onnx,
    "tflite": run_tflite,
    "cpp": run_cpp,
    "coreml": run_coreml,
    "coreml-evaluated": run_coreml_evaluated,
}


def has(target: str, op: str, domain: str = "") -> bool:
    """Whether the backend of `target` has a function for `op`. ONNX needs none: the IR's operators are its own."""
    from netglot.registry import registry

    format = target.partition("-")[0]
    importlib.import_module(f"netglot.backends.{format}")
    named = f"{domain}.{op}" if domain else op
    return format == "onnx" or any(registry.find(kind, named) is not None for kind in (format, "composed"))
