"""The pool of threads that the C++ backend's models may be given."""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

RUNTIME = Path(str(resources.files("netglot.backends.cpp"))) / "runtime"
SOURCE = Path(__file__).parent / "cpp" / "thread_pool.cpp"


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("flags", ["-O2", "-O1 -g -fsanitize=thread", "-O1 -g -fsanitize=address,undefined"])
def test_the_pool_runs_every_task_once_and_without_races(compiler: str, flags: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{RUNTIME}"]
    command = [compiler, *strict, *flags.split(), str(SOURCE), "-o", str(tmp_path / "pool")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if "sanitize" in flags and any(word in built.stderr for word in ("cannot find", "libclang_rt")):
        pytest.skip(f"{compiler} has no sanitizer's library here")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([tmp_path / "pool"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pool_needs_no_exceptions(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ here")
    command = ["g++", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror", f"-I{RUNTIME}"]
    subprocess.run([*command, "-c", str(SOURCE), "-o", str(tmp_path / "pool.o")], check=True)
