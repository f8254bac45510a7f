"""Control flow is unrolled before (passes/control.py); here is told why what is left was not."""

from __future__ import annotations

from netglot.backends.cpp.context import cpp_op
from netglot.backends.refusals import refuse_if, refuse_loop, refuse_scan

MOST_STEPS = 64  # as C++ compilers take their time

cpp_op("Scan")(refuse_scan)
cpp_op("Loop")(refuse_loop(MOST_STEPS))
cpp_op("If")(refuse_if)
