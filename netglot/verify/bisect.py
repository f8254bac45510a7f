"""Names the first tensor at which two models part."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def first_departure(names: Sequence[str], differs: Callable[[str], bool]) -> str:
    """The first of `names` (in topological order) for which `differs` is true, "" if none does.

    Binary search: a wrong tensor makes what follows wrong too, so log2(n) probes do. A departure that later operators
    hide again is found only if a probe falls on it; the last name, the output, is known to differ.
    """
    low, high = 0, len(names) - 1
    if high < 0 or not differs(names[high]):
        return ""
    while low < high:
        middle = (low + high) // 2
        if differs(names[middle]):
            high = middle
        else:
            low = middle + 1
    return names[high]
