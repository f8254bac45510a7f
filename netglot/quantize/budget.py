"""--max-drop: the fewest operators, or weights, to leave as they are with which the network is as good as asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from netglot.errors import ConversionError

RANKING = 8  # samples on which they are ranked, each changed alone
TRIES = 32  # of those left in float, how many are tried without; each costs a run over the data

Drop = Callable[[frozenset[str]], float]  # with these left in float
Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass
class Found:
    """floats: the operators left in float, the most sensitive first. drops: with the first 0, 1, 2... of them.

    met: whether the last of the drops is within the budget. why: of each of the floats, in words.
    """

    floats: list[str] = field(default_factory=list)
    drops: list[float] = field(default_factory=list)
    met: bool = True
    why: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """What the names are ("operators"), what leaving them means ("left in float"), and what else could be asked for."""

    things: str
    left: str
    hint: str


def within(
    names: Sequence[str], alone: Callable[[str], float], drop: Drop, budget: float, words: Words,
    progress: Progress | None = None,
) -> Found:  # fmt: skip
    """What to leave as it is of `names`, which are ranked by `alone`: dB of the outputs where one alone is changed.

    Nothing is ranked where the budget is met at once. ConversionError where it can't be met.
    """
    drop = cache(drop)
    if (worst := drop(frozenset())) <= budget:
        return Found([], [worst])
    damage: dict[str, float] = {}
    for done, name in enumerate(names):
        damage[name] = alone(name)
        if progress:
            progress(f"ranking {words.things}", done + 1, len(names))
    found = search(sorted(names, key=lambda name: damage[name]), drop, budget)
    if not found.met:
        raise ConversionError(
            f"the budget of {budget:g} can't be met: the best drop is {found.drops[-1]:.4g}, with {len(found.floats)} "
            f"of {len(names)} {words.things} {words.left} ({found.drops[0]:.4g} with none)",
            hint=words.hint,
        )
    return found


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
