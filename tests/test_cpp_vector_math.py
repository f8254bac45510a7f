"""The functions of vectors in the C++ runtime, held against double at each level that this machine has."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

RUNTIME = Path(str(resources.files("netglot.backends.cpp"))) / "runtime"
SOURCES = Path(__file__).parent / "cpp"
STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{RUNTIME}"]
SANITIZERS = "-O1 -fsanitize=address,undefined"

# Units of the last place: everywhere, also where the result is nearly zero or a denormal number.
BOUNDS = {"exp": 2, "expm1": 2, "log": 1.5, "tanh": 4, "sigmoid": 3, "softplus": 3, "erf": 8, "sqrt": 0.5}

LEVELS = [(0, "sse2"), (1, "avx2"), (2, "avx512dq")]


def run(name: str, level: int, needs: str, folder: Path, *flags: str, compiler: str = "g++") -> str:
    """What the program `name` prints, if this machine can run it; it must end well."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")
    if platform.machine() != "x86_64" and level > 0:
        pytest.skip("the levels are those of x86-64")
    cpu = Path("/proc/cpuinfo")
    if level > 0 and needs not in (cpu.read_text() if cpu.exists() else "").split():
        pytest.skip(f"this processor has no {needs}")
    command = [compiler, *STRICT, *flags, f"-DNETGLOT_LEVEL={level}", str(SOURCES / name), "-o", str(folder / "test")]
    subprocess.run(command, check=True)
    done = subprocess.run([folder / "test"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("level", "needs"), LEVELS)
def test_functions_of_vectors_are_exact_to_a_few_last_places(level: int, needs: str, tmp_path: Path) -> None:
    """A million floats of all magnitudes, and what is special."""
    lines = run("vector_math.cpp", level, needs, tmp_path, "-O2", "-DSTEP=4096").splitlines()
    found = {name: (float(distance), x, y) for name, distance, x, y in map(str.split, lines)}
    assert found.keys() == BOUNDS.keys()
    assert not {name: worst for name, worst in found.items() if worst[0] > BOUNDS[name]}


@pytest.mark.parametrize("flags", ["-O2", SANITIZERS])
@pytest.mark.parametrize(("level", "needs"), LEVELS)
def test_maps_of_any_length_and_broadcast(level: int, needs: str, flags: str, tmp_path: Path) -> None:
    run("map.cpp", level, needs, tmp_path, *flags.split(), compiler="clang++" if flags == SANITIZERS else "g++")


@pytest.mark.parametrize("flags", ["-O2", SANITIZERS])
@pytest.mark.parametrize(("level", "needs"), LEVELS)
def test_lines_of_any_length_and_step(level: int, needs: str, flags: str, tmp_path: Path) -> None:
    """Softmax, sums, largest elements and normalisations."""
    run("rows.cpp", level, needs, tmp_path, *flags.split(), compiler="clang++" if flags == SANITIZERS else "g++")
