"""Recurrence and control flow are unrolled before (passes/control.py); here is told why what is left was not.

Of MIL's own lstm, gru, rnn, cond and while_loop no file could be proven right anywhere but on a Mac.
"""

from __future__ import annotations

from netglot.backends.coreml.context import coreml_op
from netglot.backends.refusals import refuse_if, refuse_loop, refuse_recurrent, refuse_scan
from netglot.passes.recurrent import CELLS

MOST_STEPS = 4096  # as many as Caffe's recurrent layers may have

for _op in CELLS:
    coreml_op(_op)(refuse_recurrent(_op))

coreml_op("Scan")(refuse_scan)
coreml_op("Loop")(refuse_loop(MOST_STEPS))
coreml_op("If")(refuse_if)
