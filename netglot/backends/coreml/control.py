"""Recurrence and control flow are unrolled before (passes/control.py); here is told why what is left was not.

Of MIL's own lstm, gru, rnn, cond and while_loop no file could be proven right anywhere but on a Mac.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from netglot.backends.coreml.context import CoreMLBuilder, coreml_op
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Graph
from netglot.passes.control import LEFT
from netglot.passes.recurrent import CELLS, why_not

MOST_STEPS = 4096  # as many as Caffe's recurrent layers may have


def _recurrent(op: str) -> Callable[..., NoReturn]:
    def function(
        m: CoreMLBuilder, x: Any, *others: Any, activations: Sequence[str] = (),
        activation_alpha: Sequence[float] = (), activation_beta: Sequence[float] = (), clip: float | None = None,
        direction: str = "forward", hidden_size: int | None = None, input_forget: int = 0, layout: int = 0,
        linear_before_reset: int = 0,
    ) -> NoReturn:  # fmt: skip
        given = {"activations": activations, "activation_alpha": activation_alpha, "activation_beta": activation_beta}
        raise NotMappedError(why_not(op, x.shape, {**given, "direction": direction}))

    return function


for _op in CELLS:
    coreml_op(_op)(_recurrent(_op))


@coreml_op("Scan")
def scan(
    m: CoreMLBuilder, *values: Any, body: Graph, num_scan_inputs: int, scan_input_axes: Any = None,
    scan_input_directions: Any = None, scan_output_axes: Any = None, scan_output_directions: Any = None,
) -> NoReturn:  # fmt: skip
    raise NotMappedError(LEFT["Scan"])


@coreml_op("Loop")
def loop(m: CoreMLBuilder, *values: Any, body: Graph) -> NoReturn:
    raise NotMappedError(f"{LEFT['Loop']} ({MOST_STEPS})")


@coreml_op("If")
def if_(m: CoreMLBuilder, *values: Any, then_branch: Graph, else_branch: Graph) -> NoReturn:
    raise NotMappedError(LEFT["If"])
