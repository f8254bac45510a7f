"""TorchScript archives that were made to do harm: nothing in them is executed, and each is one clear error, soon."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.errors import ConversionError
from netglot.frontends import pytorch
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.pytorch.pickles import described

OPTIONS = LoadOptions(inputs={"x": TensorSpec((2, 3))})
SECONDS = 20

FORWARD = """
class Net(Module):
  w : Tensor
  def forward(self: __torch__.Net,
    x: Tensor) -> Tensor:
{body}
"""


def module(offset: int = 0, shape: tuple[int, ...] = (3,), size: int = 3, key: str = "0", kind: str = "Net") -> bytes:
    """The pickle of a module with one weight, as torch writes it."""
    out = io.BytesIO()
    out.write(b"\x80\x02c__torch__\n" + kind.encode() + b"\n)\x81}")
    out.write(_text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n((")
    out.write(_text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu") + _int(size) + b"tQ")
    strides = [int(np.prod(shape[i + 1 :], dtype=object)) for i in range(len(shape))]
    out.write(_int(offset) + b"(" + b"".join(map(_int, shape)) + b"t(" + b"".join(map(_int, strides)) + b"t")
    out.write(b"\x89ccollections\nOrderedDict\n)RtRsb.")
    return out.getvalue()


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _int(number: int) -> bytes:
    data = number.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def archive(path: Path, body: str = "    return torch.add(x, self.w)", **entries: bytes) -> Path:
    """A TorchScript archive; `entries` replace those it would have."""
    code = FORWARD.format(body=textwrap.indent(textwrap.dedent(body), "    ") if body[:1] != " " else body)
    parts = {
        "data.pkl": module(), "constants.pkl": b"\x80\x02).", "version": b"3\n", "byteorder": b"little",
        "data/0": np.ones(3, np.float32).tobytes(), "code/__torch__.py": code.encode(),
    }  # fmt: skip
    parts |= {name.replace("__", "/") if name.startswith("data__") else name: data for name, data in entries.items()}
    file = path / "model.pt"
    with zipfile.ZipFile(file, "w") as out:
        for name, data in parts.items():
            out.writestr(f"model/{name}", data)
    return file


def load(file: Path) -> Any:
    return pytorch.load(file, options=OPTIONS)


def assert_refused(file: Path, reason: str = "") -> None:
    start = time.monotonic()
    with pytest.raises(ConversionError, match=reason) as error:
        load(file)
    assert len(str(error.value)) < 3000
    assert time.monotonic() - start < SECONDS


def test_the_archive_itself_is_fine(tmp_path: Path) -> None:
    graph = load(archive(tmp_path))
    assert [node.op for node in graph.nodes()] == ["Add"]


# ------------------------------------------------------------------------- pickles


class Bomb:
    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.sentinel}",)


@pytest.mark.parametrize("entry", ["data.pkl", "constants.pkl"])
@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_runs_a_command(entry: str, protocol: int, tmp_path: Path) -> None:
    sentinel = tmp_path / "executed"
    bomb = pickle.dumps({"w": Bomb(sentinel)}, protocol)
    assert_refused(archive(tmp_path, **{entry: bomb}))
    assert not sentinel.exists()
    pickle.loads(bomb)
    assert sentinel.exists()  # it would have


def test_a_call_inside_a_module_is_only_a_name(tmp_path: Path) -> None:
    sentinel = tmp_path / "executed"
    command = b"cposix\nsystem\n" + _text(f"touch {sentinel}") + b"\x85R"
    data = b"\x80\x02c__torch__\nNet\n)\x81}" + _text("w") + command + b"sb."
    assert_refused(archive(tmp_path, **{"data.pkl": data}), "is made by posix.system")
    assert not sentinel.exists()


def test_a_state_that_code_of_the_file_would_restore(tmp_path: Path) -> None:
    data = b"\x80\x02c__torch__\nNet\n)\x81" + _text("packed") + b"\x85b."
    assert_refused(archive(tmp_path, **{"data.pkl": data}), "__setstate__")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x02", b"\x80\x02.", b"\x80\x02(.", b"\x80\x02)R.", b"\x80\x02N(t\x85\x86\x87.", b"\xff" * 20,
     b"\x80\x02}(K\x01u.", b"\x80\x02]]e.", b"\x80\x02K\x01Q.", b"\x80\x02h\x05.",
     b"\x80\x02" + b"X\xff\xff\xff\x7fabc",
     b"\x80\x02ios\nsystem\n.", b"\x80\x02cos\nsystem\n" + _text("true") + b"o."],
)  # fmt: skip
def test_pickles_that_are_none(data: bytes, tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, **{"data.pkl": data}))


def test_a_key_that_takes_for_ever_to_hash(tmp_path: Path) -> None:
    """A tuple of itself twice, sixty times over, through the memo."""
    twice = b"".join(b"q%c0h%ch%c\x86" % (i, i, i) for i in range(60))
    assert_refused(archive(tmp_path, **{"data.pkl": b"\x80\x02})" + twice + b"K\x01s."}))


def test_deep_and_wide_pickles(tmp_path: Path) -> None:
    deep = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    assert_refused(archive(tmp_path, **{"data.pkl": deep}))
    doubling = b"\x80\x02N" + b"2\x86" * 5000 + b"."  # each a tuple of the one before, twice
    assert_refused(archive(tmp_path, **{"data.pkl": doubling}))
    inside = b"\x80\x02c__torch__\nNet\n)\x81}" + _text("w") + b"N" + b"2\x86" * 60 + b"sb."
    assert_refused(archive(tmp_path, **{"data.pkl": inside}))


def test_every_cut_of_a_module_is_an_error(tmp_path: Path) -> None:
    data = module()
    for end in range(len(data)):
        with pytest.raises(ConversionError):
            described(data[:end])


@pytest.mark.parametrize(
    "weight",
    [
        {"shape": (4,)}, {"shape": (1 << 40,)}, {"shape": (1 << 40, 1 << 40)}, {"offset": 1}, {"offset": -1},
        {"shape": (-3,)}, {"offset": 1 << 62}, {"size": 1 << 62, "shape": (1 << 62,)}, {"key": "7"},
        {"key": "../../etc/passwd"}, {"kind": "Other"}, {"kind": "torch.classes.Packed"},
    ],
)  # fmt: skip
def test_weights_beyond_what_is_stored(weight: dict[str, Any], tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, **{"data.pkl": module(**weight)}))


# ---------------------------------------------------------------------------- code


@pytest.mark.parametrize(
    "body",
    [
        "import os\nreturn x", "exec('1')\nreturn x", "return eval('x')", "return __import__('os')",
        "return open('/etc')",
        "return x.__class__", "return self.__class__.__mro__", "return (self).__init__.__globals__",
        "return torch.load('x')",
        "return ().__class__.__bases__[0].__subclasses__()", "return getattr(x, '__class__')",
        "return ops.os.system('x')",
        "return __torch__.os.system('x')", "return [y for y in x]", "return (lambda: x)()", "del x\nreturn x",
        "global x\nreturn x", "return x if x else x", "return f'{x}'", "return CONSTANTS.c5",
        "return CONSTANTS.__class__",
        "return torch.append([1])", "return torch.len()", "return ops.prim.min(1, q=2)", "return torch.upper('a', 2)",
        "return torch.__contains__({'a': 1}, [1])",
        "return self.forward", "return torch.add(x, self.nothing)", "return unknown", "return torch.nonsense(x)",
        "raise x", "return (yield x)", "return math.pow.__self__", "with x:\n  pass\nreturn x", "return x[0]",
        "a, b, = x\nreturn a", "return torch.add", "return print.__self__", "return torch.add(x, **{'a': 1})",
        "return ops.prim.RaiseException('no')", "return int('9' * 99)", "class A:\n  pass\nreturn x", "return x.y.z",
        "return isinstance(x)", "return annotate(int)", "return annotate(int, [])(x)", "return torch.device(x)(x)",
    ],
)  # fmt: skip
def test_code_that_is_no_torchscript(body: str, tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, body))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while True:\n  pass\nreturn x", "steps"),
        ("n = 0\nwhile torch.ge(n, 0):\n  n = torch.add(n, 1)\nreturn x", "steps"),
        ("for i in range(9999999999):\n  pass\nreturn x", "steps"),
        ("for i in range(9999):\n  for j in range(9999):\n    for k in range(9999):\n      pass\nreturn x", "steps"),
        ("return (self).forward(x, )", "nested more than"),
        ("a = annotate(List[int], [1])\nfor i in range(99):\n  a = torch.add(a, a)\nreturn x", "elements|parts"),
        ("a = 'x'\nfor i in range(99):\n  a = torch.add(a, a)\nreturn x", "elements|parts"),
        ("return torch.mul([1], 99999999999)", "elements"),
        ("a = 3\nfor i in range(99):\n  a = torch.mul(a, a)\nreturn torch.add(x, a)", "64 bits"),
        ("return torch.add(x, torch.pow(7, 999999999999))", "64 bits"),
        ("return torch.add(x, torch.__lshift__(1, 99999999999))", "64 bits"),
        ("return torch.add(x, torch.floordiv(1, 0))", "zero"),
        ("return torch.add(x, " + "-" * 5000 + "1)", ""),
        ("return " + "(" * 150 + "x" + ")" * 150 + "[0]" * 3000, ""),
        ("a = (1, 1)\nfor i in range(60):\n  a = (a, a)\nreturn a", ""),
        ("return " + "[" * 180 + "]" * 180, ""),
    ],
)  # fmt: skip
def test_code_that_never_ends_or_grows(body: str, reason: str, tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, body), reason)


def test_functions_that_call_one_another_twice(tmp_path: Path) -> None:
    calls = "".join(f"def f{i}(x: Tensor) -> Tensor:\n  y = __torch__.f{i + 1}(x)\n  return __torch__.f{i + 1}(y)\n"
                    for i in range(50))  # fmt: skip
    code = FORWARD.format(body="    return __torch__.f0(x)") + calls + "def f50(x: Tensor) -> Tensor:\n  return x\n"
    assert_refused(archive(tmp_path, **{"code/__torch__.py": code.encode()}), "steps")


@pytest.mark.parametrize(
    "code", [b"\x00" * 10, b"\xff\xfe", b"class", b"", b"x = 1\n" * 10, b"(" * 1000, b"class Net:\n  pass"]
)
def test_files_of_code_that_are_none(code: bytes, tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, **{"code/__torch__.py": code}))


# ------------------------------------------------------------------------ archives


def test_a_zip_bomb(tmp_path: Path) -> None:
    for entry in ("data.pkl", "code/__torch__.py", "constants.pkl", "version"):
        file = archive(tmp_path)
        with zipfile.ZipFile(file) as old:
            parts = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data in parts.items():
                out.writestr(name, b"\0" * (1 << 26) if name.endswith(entry) else data)
        assert_refused(file)


def test_every_cut_of_an_archive_is_an_error(tmp_path: Path) -> None:
    file = archive(tmp_path)
    data = file.read_bytes()
    for end in range(0, len(data), 97):
        file.write_bytes(data[:end])
        assert_refused(file)


def test_missing_entries(tmp_path: Path) -> None:
    whole = archive(tmp_path).read_bytes()
    for missing in ("data.pkl", "version", "data/0", "code/__torch__.py"):
        file = tmp_path / "cut.pt"
        with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(file, "w") as out:
            for name in old.namelist():
                if not name.endswith(f"/{missing}"):
                    out.writestr(name, old.read(name))
        assert_refused(file)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from pathlib import Path
from netglot.errors import ConversionError
from netglot.frontends import pytorch
from netglot.frontends.options import LoadOptions, TensorSpec
for file in sys.argv[1:]:
    try:
        pytorch.load(Path(file), options=LoadOptions(inputs={"x": TensorSpec((2, 3))}))
    except ConversionError as error:
        print(type(error).__name__)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says the memory of a process alone")
def test_in_little_memory(tmp_path: Path) -> None:
    files = []
    bodies = ["a = [1]\nfor i in range(99):\n  a = torch.add(a, a)\nreturn x", "return torch.mul([x], 99999999)",
              "a = 'x'\nfor i in range(99):\n  a = torch.mul(a, 9)\nreturn x"]  # fmt: skip
    for i, body in enumerate(bodies):
        (tmp_path / str(i)).mkdir()
        files.append(archive(tmp_path / str(i), body))
    (tmp_path / "weights").mkdir()
    files.append(archive(tmp_path / "weights", **{"data.pkl": module(shape=(1 << 40,), size=1 << 40)}))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, files)], capture_output=True, text=True, timeout=120, env=environment
    )
    *kinds, most = done.stdout.split()
    assert kinds == ["ConversionError"] * len(files), done.stderr
    assert int(most) < 1 << 20  # KiB
