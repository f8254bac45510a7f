"""Generated C++: compiles a folder once and runs its example program on .npy files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.runtimes.base import Arrays, Runtime, Tensor

INTERFACE = "interface.json"  # names, types, shapes and file names of the inputs and outputs, written with the code
SHARED = "npy.cpp"  # the part of the example program that does not depend on the model
KEPT = 16  # programs kept in the cache


class CompiledCpp(Runtime):
    """A folder written by the C++ backend, computed by its example program.

    The program is built outside of the folder, with CMake, or by calling the compiler if there is none or if `flags`
    (for the compiler) are given. It is kept in `cache` (default: the user's) by the content of the folder: the same
    code is not built again. `key`: the file that the weights were encrypted with. `names`: the map file of a protected
    folder, by which its inputs and outputs have the names of the source.
    """

    def __init__(
        self, folder: Path, flags: Sequence[str] = (), cache: Path | None = None, key: Path | None = None,
        names: Path | None = None,
    ) -> None:  # fmt: skip
        compiler = find_compiler()
        self._key = ["--key", str(key)] if key else []
        self.name = f"C++ ({_version(compiler)})"
        hidden = _hidden_names(names) if names else {}
        self.inputs, self._inputs = _interface(folder, "inputs", hidden)
        self.outputs, self._files = _interface(folder, "outputs", hidden)
        self._program = _cached(folder, compiler, flags, cache or _user_cache())

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """The outputs by name. ConversionError if an input is missing or does not fit."""
        missing = [name for name in self._inputs if name not in inputs]
        if missing:
            raise ConversionError(f"no value for the input {', '.join(missing)}")
        with tempfile.TemporaryDirectory(prefix="netglot-") as name:
            work, command = Path(name), [str(self._program)]
            for key, file in self._inputs.items():
                np.save(work / f"in_{file}.npy", np.asarray(inputs[key], order="C"))
                command += ["--input", f"{file}={work / f'in_{file}.npy'}"]
            _call([*command, *self._key, "--output-dir", name], "the compiled model failed")
            return {key: np.load(work / f"{file}.npy") for key, file in self._files.items()}


def find_compiler() -> str:
    """$CXX, else c++, g++ or clang++."""
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise ConversionError("there is no C++ compiler", hint="Install g++ or clang++, or name one in $CXX.")
    return found


def _version(compiler: str) -> str:
    """As in `g++ 12.2`."""
    number = _call([compiler, "-dumpfullversion", "-dumpversion"], "the compiler does not run").strip()
    about = _call([compiler, "--version"], "the compiler does not run")
    return f"{'clang++' if 'clang' in about else 'g++'} {'.'.join(number.split('.')[:2])}"


def _hidden_names(path: Path) -> dict[str, str]:
    """Name in a protected folder -> name in the source, of the tensors in a map file."""
    try:
        return {new: name for name, new in json.loads(path.read_text(encoding="utf-8"))["tensors"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConversionError(f"can't read the map of protected names: {error}", Origin(str(path))) from None


def _interface(folder: Path, kind: str, hidden: Mapping[str, str]) -> tuple[list[Tensor], dict[str, str]]:
    """The inputs or outputs as the folder declares them, and the names of their files; names as `hidden` has them."""
    try:
        items = json.loads((folder / INTERFACE).read_text(encoding="utf-8"))[kind]
        items = [{**item, "name": hidden.get(item["name"], item["name"])} for item in items]
        return [_tensor(item) for item in items], {item["name"]: item["file"] for item in items}
    except (OSError, ValueError, LookupError, TypeError) as error:
        hint = "Expected a folder written by netglot's C++ backend."
        raise ConversionError(f"can't read {INTERFACE}: {error}", Origin(str(folder)), hint) from None


def _tensor(item: Any) -> Tensor:
    return Tensor(item["name"], np.dtype(item["dtype"]), tuple(item["shape"]))


def _cached(folder: Path, compiler: str, flags: Sequence[str], cache: Path) -> Path:
    """The program for this content, compiler and flags; built if it is not there yet."""
    sources = [path for path in folder.iterdir() if path.suffix in (".h", ".cpp", ".txt", ".bin")]
    home = cache / _digest(sources, [compiler, *flags])
    program = home / "run"
    if program.exists():
        os.utime(home)
        return program
    with tempfile.TemporaryDirectory(dir=home.parent) as name:
        built = Path(name) / "new"
        built.mkdir()
        _build(folder, built, compiler, flags)
        home.mkdir(exist_ok=True)
        (built / "run").replace(program)  # whole or not at all, also where two processes build at once
    _forget_old(home.parent)
    return program


def _user_cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = base / "netglot" / "cpp"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="netglot-"))
    return root


def _forget_old(root: Path) -> None:
    homes = sorted((home for home in root.iterdir() if (home / "run").exists()), key=lambda home: -home.stat().st_mtime)
    for home in homes[KEPT:]:
        shutil.rmtree(home, ignore_errors=True)


def _digest(files: Iterable[Path], extra: Sequence[str]) -> str:
    digest = hashlib.sha256(repr(list(extra)).encode())
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _build(folder: Path, built: Path, compiler: str, flags: Sequence[str]) -> None:
    """Puts the program `run` into `built`."""
    if shutil.which("cmake") and not flags:
        configure = ["cmake", "-S", str(folder), "-B", str(built), f"-DCMAKE_CXX_COMPILER={compiler}"]
        _call(configure, "CMake can't configure it")
        _call(["cmake", "--build", str(built), "--parallel", str(os.cpu_count() or 1)], "it does not compile")
        return
    for source in _sources(folder, built, flags):
        _compile(source, built, [compiler, "-std=c++17", *(flags or ["-O2"]), "-I", str(folder)])
    _call([compiler, *flags, "-o", str(built / "run"), *map(str, built.glob("*.o"))], "it does not link")


def _sources(folder: Path, built: Path, flags: Sequence[str]) -> list[Path]:
    """What is to be compiled. Built for one level alone, a model is one source: its headers are read once."""
    only = [flag.removeprefix("-DNETGLOT_ONLY=") for flag in flags if flag.startswith("-DNETGLOT_ONLY=")]
    names = [f"layers_{level}.cpp" for level in only] + ["model.cpp", "weights.cpp", "run.cpp"]
    if not only or not all((folder / name).exists() for name in names):
        return sorted(folder.glob("*.cpp"))
    whole = built / "whole.cpp"
    whole.write_text("".join(f'#include "{name}"\n' for name in names))
    return [whole, folder / SHARED]


def _compile(source: Path, built: Path, command: Sequence[str]) -> None:
    """Makes an object file. That of the example program, the same for all models, is kept beside the programs."""
    target = built / f"{source.stem}.o"
    if source.name != SHARED:
        _call([*command, "-c", "-o", str(target), str(source)], "it does not compile")
        return
    parts = [source, *(source.parent / name for name in ("npy.h", "tensor.h", "parallel.h"))]
    kept = built.parent.parent / f"{_digest(parts, command)}.o"
    if not kept.exists():
        _call([*command, "-c", "-o", str(target), str(source)], "it does not compile")
        target.replace(kept)
    shutil.copyfile(kept, target)


def _call(command: Sequence[str], what: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise ConversionError(f"{what}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
