"""--max-drop: the fewest operators to leave in float with which the network stays as good as asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

RANKING = 8  # samples on which they are ranked, each changed alone
TRIES = 32  # of those left in float, how many are tried without; each costs a run over the data

Drop = Callable[[frozenset[str]], float]  # with these left in float


@dataclass
class Found:
    """floats: the operators left in float, the most sensitive first. drops: with the first 0, 1, 2... of them.

    met: whether the last of the drops is within the budget. why: of each of the floats, in words.
    """

    floats: list[str] = field(default_factory=list)
    drops: list[float] = field(default_factory=list)
    met: bool = True
    why: dict[str, str] = field(default_factory=dict)


def search(ranked: Sequence[str], drop: Drop, budget: float) -> Found:
    """`ranked`: the operators, the most sensitive first, of which at least one must stay quantised.

    The smallest number of the first of them that suffices, by bisection; then each of those, the least sensitive
    first, is quantised again where the budget allows it.
    """
    seen: dict[frozenset[str], float] = {}

    def known(floats: Sequence[str]) -> float:
        key = frozenset(floats)
        if key not in seen:
            seen[key] = drop(key)
        return seen[key]

    if known(()) <= budget:
        return Found([], [known(())])
    count = _fewest(ranked, lambda some: known(some) <= budget)
    if count is None:
        least = min(seen.items(), key=lambda item: (item[1], len(item[0])))[0]
        floats = [name for name in ranked if name in least]
        return Found(floats, [known(()), known(floats)], met=False)
    chosen = list(ranked[:count])
    for name in list(reversed(chosen))[:TRIES]:
        rest = [other for other in chosen if other != name]
        if known(rest) <= budget:
            chosen = rest
    steps = range(len(chosen) + 1) if len(chosen) <= TRIES else (0, len(chosen))
    return Found(chosen, [known(chosen[:i]) for i in steps])


def _fewest(ranked: Sequence[str], suffices: Callable[[Sequence[str]], bool]) -> int | None:
    """Doubling first, since few are mostly enough; then bisection between the last two."""
    most, low, high = len(ranked) - 1, 0, 1
    while high <= most and not suffices(ranked[:high]):
        low, high = high, high * 2
    if high > most:
        if most < 1 or not suffices(ranked[:most]):
            return None
        high = most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(ranked[:middle]) else (middle, high)
    return high
