"""Why a target does not take what passes/control.py left of recurrence and control flow.

For the targets that have no such operators themselves, or only some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Graph
from netglot.passes.control import LEFT
from netglot.passes.recurrent import why_not


def refuse_recurrent(op: str) -> Callable[..., NoReturn]:
    """The backend function of LSTM, GRU or RNN."""

    def function(
        m: Any, x: Any, *others: Any, activations: Sequence[str] = (), activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (), clip: float | None = None, direction: str = "forward",
        hidden_size: int | None = None, input_forget: int = 0, layout: int = 0, linear_before_reset: int = 0,
    ) -> NoReturn:  # fmt: skip
        given = {"activations": activations, "activation_alpha": activation_alpha, "activation_beta": activation_beta}
        raise NotMappedError(why_not(op, x.shape, {**given, "direction": direction}))

    return function


def refuse_scan(
    m: Any, *values: Any, body: Graph, num_scan_inputs: int, scan_input_axes: Any = None,
    scan_input_directions: Any = None, scan_output_axes: Any = None, scan_output_directions: Any = None,
) -> NoReturn:  # fmt: skip
    """A Scan is written as a Loop (passes/scan.py), where the number of its steps is known."""
    raise NotMappedError(LEFT["Scan"])


def refuse_loop(most_steps: int) -> Callable[..., NoReturn]:
    """The backend function of Loop, of which up to `most_steps` steps are unrolled."""

    def function(m: Any, *values: Any, body: Graph) -> NoReturn:
        raise NotMappedError(f"{LEFT['Loop']} ({most_steps})")

    return function


def refuse_if(m: Any, *values: Any, then_branch: Graph, else_branch: Graph) -> NoReturn:
    raise NotMappedError(LEFT["If"])
