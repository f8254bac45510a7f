"""What a model in C++ refuses: weights and plans that were changed, wrong keys; and what conversion refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import netglot
from netglot.backends.cpp import save
from netglot.cli import main
from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.runtimes.compiled import find_compiler
from tests.test_cpp import DIGITS, small_net

FLIPS = Path(__file__).parent / "cpp" / "flips.cpp"
FILES = ["model.cpp", "layers_0.cpp", "layers_1.cpp", "layers_2.cpp", "weights.cpp"]


@pytest.fixture(scope="module")
def flips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that changes bits of the weights in a model's own library and makes a model each time."""
    folder = tmp_path_factory.mktemp("flips")
    save(small_net(), folder / "model")
    sources = [str(folder / "model" / name) for name in FILES]
    command = [find_compiler(), "-std=c++17", "-O1", "-I", str(folder / "model"), *sources, str(FLIPS)]
    subprocess.run([*command, "-o", str(folder / "flips")], check=True, capture_output=True)
    return folder / "flips"


def test_a_shorter_weights_file_is_refused_not_read_beyond(tmp_path: Path) -> None:
    save(small_net(), tmp_path / "model")
    weights = (tmp_path / "model" / "weights.bin").read_bytes()
    flags = ["-std=c++17", "-O0", "-DNETGLOT_ONLY=0", "-fsanitize=address", "-I", str(tmp_path / "model")]
    sources = [str(tmp_path / "model" / f"{name}.cpp") for name in ("model", "layers_0", "weights", "run", "npy")]
    for part in (weights[:100], b""):
        (tmp_path / "model" / "weights.bin").write_bytes(part)
        subprocess.run([find_compiler(), *flags, *sources, "-o", str(tmp_path / "run")], check=True)
        done = subprocess.run([tmp_path / "run", "--repeat", "1"], capture_output=True, text=True, check=False)
        assert "its weights are not those that were written" in done.stderr
    (tmp_path / "model" / "weights.bin").write_bytes(weights + b"x")
    command = [find_compiler(), *flags, "-c", str(tmp_path / "model" / "weights.cpp"), "-o", str(tmp_path / "w.o")]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("what", ["weights", "plan"])
def test_every_changed_bit_is_refused(what: str, flips: Path) -> None:
    """2,000 random bits, one at a time; then, changed back, the model runs."""
    done = subprocess.run([flips, what, "2000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2000 of 2000 refused, nothing was computed; then ok\n"


def test_a_changed_sealed_weight_is_refused_before_it_is_decrypted(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    save(small_net(), tmp_path / "model", encrypt=tmp_path / "key")
    weights = bytearray((tmp_path / "model" / "weights.bin").read_bytes())
    weights[7] ^= 1
    (tmp_path / "model" / "weights.bin").write_bytes(weights)
    sources = [str(path) for path in (tmp_path / "model").glob("*.cpp")]
    command = [find_compiler(), "-std=c++17", "-O0", "-DNETGLOT_ONLY=0", "-I", str(tmp_path / "model"), *sources]
    subprocess.run([*command, "-o", str(tmp_path / "run")], check=True, capture_output=True)
    program = [tmp_path / "run", "--repeat", "1", "--key", tmp_path / "key"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "its weights are not those that were written" in done.stderr


def test_sealed_weights_are_not_the_weights(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    for name, key in (("plain", None), ("sealed", tmp_path / "key"), ("again", tmp_path / "key")):
        save(small_net(), tmp_path / name, encrypt=key)
    plain, sealed, again = ((tmp_path / name / "weights.bin").read_bytes() for name in ("plain", "sealed", "again"))
    assert len(sealed) == len(plain)
    assert sealed != again  # another nonce
    same = np.mean(np.frombuffer(plain, np.uint8) == np.frombuffer(sealed, np.uint8))
    assert same < 0.02  # of random bytes: 1 in 256


# ------------------------------------------------------------ what can't be done


def convert(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["convert", str(DIGITS / "deploy.prototxt"), *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33), b"0" * 63, b"g" * 64])
def test_a_key_of_the_wrong_length_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    code, output = convert("-o", tmp_path / "digits_cpp", "--encrypt", tmp_path / "key")
    assert code == 2
    assert f"the file holds {len(content)} bytes" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key"]


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, output = convert("-o", tmp_path / "digits_cpp", "--encrypt", tmp_path / "nowhere")
    assert code == 2
    assert "can't read the key" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flags", [[], ["--force"]])
def test_an_output_folder_that_is_a_file_is_refused_or_replaced(flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "digits_cpp").write_text("precious")
    code, output = convert("-o", tmp_path / "digits_cpp", "--no-verify", *flags)
    if flags:
        assert code == 0
        assert (tmp_path / "digits_cpp" / "model.h").exists()
    else:
        assert code == 2
        assert "--force" in output
        assert (tmp_path / "digits_cpp").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["digits_cpp"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("precious")
    code, output = convert("-o", tmp_path / "work", "--to", "cpp", "--no-verify", "--force")
    assert code == 2
    assert "a folder of something else" in output
    assert (tmp_path / "work" / "thesis.txt").read_text() == "precious"
    (tmp_path / "work" / "thesis.txt").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "work")
    for _ in range(2):  # an empty folder, then one of ours; the link is replaced, not what it leads to
        code, output = convert("-o", tmp_path / "link", "--to", "cpp", "--no-verify", "--force")
        assert code == 0, output
        assert (tmp_path / "link" / "model.h").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "work"]
    assert not list((tmp_path / "work").iterdir())


def test_a_map_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "digits_cpp.map.json").write_text("precious")
    code, output = convert("-o", tmp_path / "digits_cpp", "--no-verify", "--protect")
    assert code == 2
    assert "digits_cpp.map.json" in output
    assert not (tmp_path / "digits_cpp").exists()
    assert (tmp_path / "digits_cpp.map.json").read_text() == "precious"


def test_options_of_cpp_are_refused_for_other_targets(tmp_path: Path) -> None:
    code, output = convert("-o", tmp_path / "digits.onnx", "--protect")
    assert code == 2
    assert "ONNX has no option protect" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("flags", "part"), [
    (["--salt", "s"], "not to be protected"), (["--protect", "--salt", ""], "the salt is empty"),
    (["-o", "..", "--force"], "name of its own"),
])  # fmt: skip
def test_flags_that_would_do_nothing_or_harm(
    flags: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, output = convert("-o", "digits_cpp", "--to", "cpp", "--no-verify", *flags)
    assert code == 2
    assert part in output
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": 65}, {"threads": "2"}, {"encrypt": ""}])
def test_options_that_mean_nothing_are_refused_in_python_too(options: dict[str, Any], tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    g.graph.outputs = [g.Relu(g.graph.add_input("x", np.dtype(np.float32), (2, 3)))]
    with pytest.raises(ConversionError, match=r"threads are a number|can't read the key"):
        netglot.save(g.graph, tmp_path / "net_cpp", **options)
    assert not list(tmp_path.iterdir())


def test_a_key_file_may_be_given_as_text(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    g.graph.outputs = [g.Relu(g.graph.add_input("x", np.dtype(np.float32), (2, 3)))]
    (tmp_path / "key").write_bytes(bytes(32))
    netglot.save(g.graph, str(tmp_path / "net_cpp"), encrypt=str(tmp_path / "key"))
    assert "Options::key is needed" in (tmp_path / "net_cpp" / "model.h").read_text()


def test_a_reshape_to_another_number_of_elements_is_refused(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (3, 8))
    g.graph.outputs = [g.Relu(g.Reshape(g.Relu(x), np.array([1, 64])))]
    with pytest.raises(ConversionError, match="3x8 can't become 1x64"):
        save(g.graph, tmp_path / "net_cpp")
    assert not list(tmp_path.iterdir())


def test_open_sizes_and_unknown_operators_leave_nothing_behind(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (3, 3))
    g.graph.outputs = [g.Det(x)]
    with pytest.raises(ConversionError, match="no mapping for the operator Det"):
        save(g.graph, tmp_path / "a", protect=True)
    assert not list(tmp_path.iterdir())
    g = Builder(Graph("net"))
    g.graph.outputs = [g.Relu(g.graph.add_input("x", np.dtype(np.float32), ("n", 3)))]
    with pytest.raises(ConversionError, match="fixed shapes"):
        save(g.graph, tmp_path / "b", threads=2)
    assert not list(tmp_path.iterdir())
