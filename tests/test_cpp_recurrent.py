"""LSTM by the kernel on vectors: states of whole vectors and of parts, both directions, given first states."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.targets import cpp_levels
from tests.test_cpp_conv import Net


def lstm(net: Net, steps: int, batch: int, inputs: int, hidden: int, direction: str, *, initial: bool) -> None:
    directions = 2 if direction == "bidirectional" else 1
    w, r = (net.numbers(directions, 4 * hidden, size) for size in (inputs, hidden))
    state = [net.input(directions, batch, hidden) if initial else None for _ in "hc"]
    x, bias = net.input(steps, batch, inputs), net.numbers(directions, 8 * hidden)
    given = [x, w, r, None if initial else bias, None, *state]
    for y in net.g.op("LSTM", given, outputs=3, hidden_size=hidden, direction=direction):
        net.output(y)


@pytest.mark.parametrize("level", cpp_levels())
def test_lstm(level: int, tmp_path: Path) -> None:
    net = Net(5)
    lstm(net, 5, 3, 11, 37, "bidirectional", initial=True)
    lstm(net, 4, 1, 16, 48, "reverse", initial=False)
    lstm(net, 3, 17, 5, 1, "forward", initial=True)
    net.check(tmp_path, level, threads=2)
