"""Control flow is unrolled before (passes/control.py); here is told why what is left was not."""

from __future__ import annotations

from typing import Any, NoReturn

from netglot.backends.cpp.context import CppBuilder, cpp_op
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Graph
from netglot.passes.control import LEFT

MOST_STEPS = 64  # as C++ compilers take their time


@cpp_op("Scan")
def scan(
    m: CppBuilder, *values: Any, body: Graph, num_scan_inputs: int, scan_input_axes: Any = None,
    scan_input_directions: Any = None, scan_output_axes: Any = None, scan_output_directions: Any = None,
) -> NoReturn:  # fmt: skip
    raise NotMappedError(LEFT["Scan"])


@cpp_op("Loop")
def loop(m: CppBuilder, *values: Any, body: Graph) -> NoReturn:
    raise NotMappedError(f"{LEFT['Loop']} ({MOST_STEPS})")


@cpp_op("If")
def if_(m: CppBuilder, *values: Any, then_branch: Graph, else_branch: Graph) -> NoReturn:
    raise NotMappedError(LEFT["If"])
