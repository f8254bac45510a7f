"""Times whole processes in turn, and reads what the operating system says of each."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(command: Sequence[str]) -> Run:
    """One process from start to end.

    It is started by a small process of its own: what the system says of a process' memory begins with that of the one
    that started it, and a benchmark may hold networks.
    """
    done = subprocess.run([sys.executable, __file__, *command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {' '.join(command)}")
    return Run(*json.loads(done.stdout))


def measure(command: Sequence[str]) -> int:
    """Runs `command` and prints seconds, seconds of the processor and megabytes; returns its exit code."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6]))
    return process.returncode


def interleaved(commands: Mapping[str, Sequence[str]], repeats: int) -> dict[str, list[Run]]:
    """`repeats` runs of each command, A B C A B C, after one of each that does not count."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for i in range(repeats + 1):
        for name, command in commands.items():
            result = run(command)
            if i:
                runs[name].append(result)
    return runs


def show(runs: Mapping[str, Sequence[Run]], base: str) -> None:
    """A table of medians; the ratio is the median of the ratios pair by pair with `base`."""
    table = Table()
    for column in ("command", "seconds", "min-max", "CPU seconds", "peak MB", f"ratio to {base}"):
        table.add_column(column)
    for name, mine in runs.items():
        seconds = [one.seconds for one in mine]
        ratio = statistics.median(a.seconds / b.seconds for a, b in zip(mine, runs[base], strict=True))
        table.add_row(
            name, f"{statistics.median(seconds):.2f}", f"{min(seconds):.2f}-{max(seconds):.2f}",
            f"{statistics.median(one.cpu_seconds for one in mine):.2f}",
            f"{statistics.median(one.peak_mb for one in mine):.0f}", f"{ratio:.2f}",
        )  # fmt: skip
    Console(width=max(110, Console().width)).print(table)


if __name__ == "__main__":
    sys.exit(measure(sys.argv[1:]))
