"""The command: exit codes, messages, files left behind, what is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from netglot.cli import main
from netglot.errors import ConversionError
from tests.oracles import ROOT, model

DIGITS = ROOT / "examples" / "digits"
PROTOTXT, WEIGHTS = DIGITS / "deploy.prototxt", DIGITS / "digits.caffemodel"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(item) for item in arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(here: Path, code: int, *arguments: object) -> str:
    """Runs a command that must fail with `code`, without a traceback and leaving nothing behind; gives its message."""
    before = sorted(here.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert sorted(here.rglob("*")) == before
    return result.output


# ------------------------------------------------------------------ the sentence


def test_the_sentence_that_the_product_is_named_after(here: Path) -> None:
    result = run("convert", "--from", "caffe", "--to", "coreml", PROTOTXT, WEIGHTS)
    assert result.exit_code == 0, result.output
    assert (here / "digits.mlpackage" / "Manifest.json").exists()
    assert "equal within" in result.output


def test_formats_are_detected_and_weights_found(here: Path) -> None:
    for source in (PROTOTXT, WEIGHTS):
        (here / source.name.replace("deploy", "digits")).write_bytes(source.read_bytes())
    assert run("convert", "digits.prototxt", "-o", "a.tflite").exit_code == 0
    assert run("convert", "digits.caffemodel", "-o", "b.onnx").exit_code == 0
    assert run("verify", "a.tflite", "b.onnx").exit_code == 0
    assert run("verify", "digits.prototxt", "a.tflite").exit_code == 0


def test_python_dash_m(here: Path) -> None:
    command = [sys.executable, "-m", "netglot", "convert", PROTOTXT, WEIGHTS, "--to", "onnx"]
    done = subprocess.run([str(item) for item in command], capture_output=True, text=True, check=True)
    assert "equal within" in done.stdout
    assert done.stderr == "", "a pipe gets no progress"


def test_a_terminal_gets_progress(here: Path) -> None:
    pty = pytest.importorskip("pty", reason="no terminals on this system")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "netglot", "convert", PROTOTXT, WEIGHTS, "--to", "onnx"]
    environment = os.environ | {"TERM": "xterm-256color"}
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, check=True, env=environment)
    assert "digits.onnx" in os.read(ours, 10_000).decode()


def test_report_and_no_verify(here: Path) -> None:
    result = run("convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--report", "r.json", "--no-verify")
    assert result.exit_code == 0
    assert "not verified" in result.output
    report = json.loads((here / "r.json").read_text())
    assert report["verified"] is False
    assert report["size"] == (here / "a.onnx").stat().st_size
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "b.onnx", "--report", "r.json").exit_code == 0
    report = json.loads((here / "r.json").read_text())
    assert report["ok"] is True
    assert 0 <= report["max_error"] <= report["rtol"]


def test_batch_input_output_and_layout(here: Path) -> None:
    import netglot

    assert run("convert", PROTOTXT, WEIGHTS, "-o", "a.tflite", "--batch", "3", "--io-layout", "nhwc").exit_code == 0
    from netglot.runtimes.litert import LiteRT

    assert LiteRT(here / "a.tflite").inputs[0].shape == (3, 8, 8, 1)
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "b.onnx", "--input", "data:2x1x8x8:float32").exit_code == 0
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "c.onnx", "--output", "pool1").exit_code == 0
    graph = netglot.load(here / "c.onnx")
    assert [value.name for value in graph.outputs] == ["pool1"]
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "d.onnx", "--input", "pool1").exit_code == 0
    graph = netglot.load(here / "d.onnx")
    assert [value.name for value in graph.inputs] == ["pool1"]
    assert [value.name for value in graph.outputs] == ["prob"]


def test_an_inner_tensor_has_the_shape_it_has(here: Path) -> None:
    message = refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--input", "pool1:1x24x9x9")
    assert "'pool1' is float32[1x24x5x5] here" in message
    both = ["--input", "data:1x1x8x8", "--batch", "2"]
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", *both).exit_code == 0


def test_a_mean_image_is_subtracted(here: Path) -> None:
    """Expected: the network without it, fed with what is left."""
    import numpy as np

    import netglot
    from netglot.convert import open_model

    goldens = ROOT / "tests" / "caffe" / "goldens"
    mean = np.load(goldens / "mean.npz")
    mean = mean[mean.files[0]].reshape(-1, *mean[mean.files[0]].shape[-3:])
    shape = "x".join(map(str, mean.shape))
    (here / "net.prototxt").write_text(
        f'input: "data" input_shape {{ dim: {shape.replace("x", " dim: ")} }}\n'
        'layer { name: "y" type: "Power" bottom: "data" top: "y" power_param { scale: 2 } }'
    )
    netglot.convert("net.prototxt", "net.tflite", mean=goldens / "mean.binaryproto")
    x = np.random.default_rng(0).random(mean.shape, np.float32) * 255
    found = open_model("net.tflite").run({"data": x})["y"]
    assert np.allclose(found, 2 * (x - mean), rtol=1e-5, atol=1e-3)


def test_fp16(here: Path) -> None:
    for name in ("a.mlpackage", "a.tflite", "a_cpp"):
        assert run("convert", PROTOTXT, WEIGHTS, "-o", name, "--quantize", "fp16").exit_code == 0
    assert "--quantize" in refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "b_cpp", "--quantize", "int16x8")
    assert "--calibrate" in refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "b_cpp", "--quantize", "int8")


def test_plugin(here: Path) -> None:
    text = PROTOTXT.read_text().replace('type: "ReLU"', 'type: "MyReLU"')
    (here / "net.prototxt").write_text(text)
    message = refused(here, 3, "convert", "net.prototxt", WEIGHTS, "-o", "a.onnx")
    assert message.count("'MyReLU' is not supported") == text.count("MyReLU")
    assert "Near: " in message
    assert "ReLU" in message
    (here / "mine.py").write_text(
        "from netglot.frontends.caffe import caffe_layer\n\n\n"
        "@caffe_layer('MyReLU')\ndef my_relu(g, x):\n    return g.Relu(x)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "netglot", "convert", "net.prototxt", WEIGHTS, "-o", "a.onnx", "--plugin", "mine.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# ----------------------------------------------------------------------- refusals


def test_an_existing_output_is_kept_without_force(here: Path) -> None:
    (here / "a.onnx").write_text("mine")
    assert "--force" in refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "a.onnx")
    assert (here / "a.onnx").read_text() == "mine"
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--force").exit_code == 0
    for _ in range(2):  # a folder is replaced whole, too
        assert run("convert", PROTOTXT, WEIGHTS, "-o", "a.mlpackage", "--force", "--no-verify").exit_code == 0
    assert sorted(item.name for item in here.iterdir()) == ["a.mlpackage", "a.onnx"]


def test_a_second_file_where_there_are_no_weights(here: Path) -> None:
    """The second argument is the weights, not the output: said, not ignored."""
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--no-verify").exit_code == 0
    (here / "b.tflite").write_text("")
    assert "-o says what to write" in refused(here, 2, "convert", "a.onnx", "b.tflite", "--to", "tflite")


def test_a_data_file_in_the_way_is_kept_too(here: Path) -> None:
    from netglot.atomic import whole
    from netglot.errors import ConversionError

    def write() -> None:
        with whole(here / "a.onnx") as written:
            written.write_text("model")
            written.with_name("a.onnx.data").write_text("weights")

    (here / "a.onnx.data").write_text("mine")
    with pytest.raises(ConversionError, match="exists already"):
        write()
    assert [item.name for item in here.iterdir()] == ["a.onnx.data"]
    assert (here / "a.onnx.data").read_text() == "mine"


def test_what_can_not_be_verified_is_not_left_behind(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_: None)
    message = refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "a_cpp")
    assert "there is no C++ compiler" in message
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "a_cpp", "--no-verify").exit_code == 0


def test_a_report_that_can_not_be_written_is_said_first(here: Path) -> None:
    for place in ("no/folder/r.json", "."):
        refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--report", place)


def test_a_report_replaces_nothing_that_is_needed(here: Path) -> None:
    (here / "net.caffemodel").write_bytes(Path(WEIGHTS).read_bytes())
    for place in ("a.onnx", "net.caffemodel", "../" + here.name + "/a.onnx"):
        message = refused(here, 2, "convert", PROTOTXT, "net.caffemodel", "-o", "a.onnx", "--report", place)
        assert "would replace a file of this conversion" in message
    assert (here / "net.caffemodel").read_bytes() == Path(WEIGHTS).read_bytes()


def test_a_page_of_what_was_not_done(here: Path) -> None:
    message = refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--report", "r.html")
    assert "neither is asked for" in message


def test_an_unknown_option_with_an_array(here: Path) -> None:
    import netglot

    with pytest.raises(ConversionError, match="has no option calibrat"):
        netglot.convert(PROTOTXT, "a.onnx", weights=WEIGHTS, calibrat=np.zeros((2, 2)))


def test_a_network_without_layers(here: Path) -> None:
    (here / "net.prototxt").write_text('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }')
    refused(here, 2, "convert", "net.prototxt", "-o", "a.onnx")


def test_not_equal_is_exit_code_1(here: Path) -> None:
    for name, text in (("a", PROTOTXT.read_text()), ("b", PROTOTXT.read_text().replace("shift: -1", "shift: -0.9"))):
        (here / f"{name}.prototxt").write_text(text)
        assert run("convert", f"{name}.prototxt", WEIGHTS, "-o", f"{name}.onnx").exit_code == 0
    result = run("verify", "a.onnx", "b.onnx")
    assert result.exit_code == 1
    assert "NOT EQUAL" in result.output


@pytest.mark.parametrize("size", [1, 100, 5000, 51000])
def test_truncated_weights(here: Path, size: int) -> None:
    (here / "cut.caffemodel").write_bytes(WEIGHTS.read_bytes()[:size])
    message = refused(here, 2, "convert", PROTOTXT, "cut.caffemodel", "-o", "a.tflite")
    assert "cut.caffemodel" in message


def test_wrong_weights(here: Path) -> None:
    (here / "net.prototxt").write_text(PROTOTXT.read_text().replace("num_output: 24", "num_output: 20"))
    message = refused(here, 2, "convert", "net.prototxt", WEIGHTS, "-o", "a.tflite")
    for part in ("net.prototxt:", "layer '", "expected 20x1x4x4", "found 24x1x4x4"):
        assert part in message


CYCLE = """\
layer { name: "a" type: "ReLU" bottom: "b" top: "a" }
layer { name: "b" type: "ReLU" bottom: "a" top: "b" }"""
MISSING = """\
input: "x"
input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layer { name: "a" type: "ReLU" bottom: "y" top: "z" }"""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param(CYCLE, ["bottom 'b'", "cycle", "line 2"], id="cycle"),
        pytest.param(MISSING, ["net.prototxt:3", "layer 'a'", "bottom 'y'", "--input y"], id="missing-bottom"),
        pytest.param('name: "x"\nlayer { name: "a\0" }', ["net.prototxt:2", "NUL"], id="NUL"),
        pytest.param("", ["no layers"], id="empty"),
        pytest.param("layer {", ["net.prototxt"], id="unclosed"),
    ],
)
def test_bad_prototxt(here: Path, text: str, parts: list[str]) -> None:
    (here / "net.prototxt").write_text(text)
    message = refused(here, 2, "convert", "net.prototxt", WEIGHTS, "-o", "a.tflite")
    for part in parts:
        assert part in message


def test_a_small_file_that_claims_ten_gigabytes(here: Path) -> None:
    """layer { name: "x" blobs { data: 10 GB } }, of which 1 KB is there."""

    def varint(value: int) -> bytes:
        return bytes([value & 0x7F | (0x80 if value > 0x7F else 0)]) + (varint(value >> 7) if value > 0x7F else b"")

    def field(number: int, size: int) -> bytes:
        return varint(number << 3 | 2) + varint(size)

    ten = 10_000_000_000
    data = field(100, ten + 40) + field(1, 1) + b"x" + field(7, ten + 20) + field(5, ten) + bytes(1000)
    (here / "big.caffemodel").write_bytes(data)
    message = refused(here, 2, "convert", PROTOTXT, "big.caffemodel", "-o", "a.tflite")
    assert "claims 10,000,000,040 bytes" in message


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["convert", "nothing.prototxt", "-o", "a.onnx"], "no such file"),
        (["convert", PROTOTXT, WEIGHTS, "-o", "a.xyz"], "format"),
        (["convert", PROTOTXT, WEIGHTS, "--to", "nonsense"], "formats are"),
        (["convert", PROTOTXT, WEIGHTS], "--to"),
        (["convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--input", "data:axb"], "no element type 'axb'"),
        (["convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--input", "data:object"], "no element type 'object'"),
        (["convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--output", "pool9"], "near: pool"),
        (["convert", PROTOTXT, WEIGHTS, "-o", "a.keras"], "yet"),
        (["convert", PROTOTXT, WEIGHTS, "-o", "no/folder/a.onnx"], "no such folder"),
        (["convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--plugin", "none.py"], "Python file"),
        (["convert", PROTOTXT, WEIGHTS, "--to", "cpp", "-o", ".", "--force"], "name of its own"),
        (["inspect", PROTOTXT, "--text", "--json"], "not both"),
        (["convert", "a.onnx", WEIGHTS, "-o", "b.onnx"], "no such file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_usage(here: Path, arguments: list[object], part: str) -> None:
    assert part in refused(here, 2, *arguments)


def test_missing_weights(here: Path) -> None:
    (here / "net.prototxt").write_bytes(PROTOTXT.read_bytes())
    assert "weights" in refused(here, 2, "convert", "net.prototxt", "-o", "a.onnx")


def test_what_is_read_is_not_replaced(here: Path) -> None:
    """It may turn out not to be equal, and be all that is left."""
    (here / "net").mkdir()
    for source in (PROTOTXT, WEIGHTS):
        (here / "net" / source.name).write_bytes(source.read_bytes())
    (here / "net" / "interface.json").write_text("{}")  # as in a folder that may be replaced
    assert run("convert", "net/deploy.prototxt", "net/digits.caffemodel", "-o", "net/digits.onnx").exit_code == 0
    for arguments in (
        ("net/digits.onnx", "-o", "net/digits.onnx"),
        ("net/digits.onnx", "--to", "tflite", "-o", "net/digits.onnx"),
        ("net/digits.onnx", "--to", "cpp", "-o", "net"),
        ("net/deploy.prototxt", "net/digits.caffemodel", "--to", "onnx", "-o", "net/digits.caffemodel"),
        ("net/digits.onnx", "--to", "cpp", "--encrypt", "net/deploy.prototxt", "-o", "net/deploy.prototxt"),
    ):
        assert "would replace" in refused(here, 2, "convert", *arguments, "--force")


def test_a_plugin_that_fails(here: Path) -> None:
    (here / "mine.py").write_text("1 / 0\n")
    message = refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "a.onnx", "--plugin", "mine.py")
    assert "mine.py: the plugin failed: ZeroDivisionError" in message


def test_a_fault_of_ours_is_no_traceback_and_not_exit_code_1(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import netglot.convert

    monkeypatch.setattr(netglot.convert.__globals__["formats"], "files", lambda *_: 1 / 0)
    assert "a fault of netglot: ZeroDivisionError" in refused(here, 2, "convert", PROTOTXT, WEIGHTS, "-o", "a.onnx")


def test_half_precision_has_its_own_tolerance(here: Path) -> None:
    assert run("convert", model("onnx/squeezenet_fp16_opset7.onnx"), "-o", "a.onnx").exit_code == 0
    assert run("verify", model("onnx/squeezenet_fp16_opset7.onnx"), "a.onnx").exit_code == 0


def test_a_free_dimension_is_asked_for_where_the_target_needs_it(here: Path) -> None:
    import numpy as np

    import netglot
    from netglot.ir.builder import Builder

    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (3, "N"))
    g.graph.outputs = [g.Relu(x, name="y")]
    netglot.save(g.graph, "free.onnx")
    assert "--input x:3x1" in refused(here, 2, "convert", "free.onnx", "-o", "a.tflite")
    assert run("convert", "free.onnx", "-o", "a.tflite", "--input", "x:3x2").exit_code == 0
    assert run("convert", "free.onnx", "-o", "b.onnx").exit_code == 0


def test_a_free_batch_becomes_one_where_the_target_needs_it(here: Path) -> None:
    import numpy as np

    import netglot
    from netglot.ir.builder import Builder

    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), ("N", 3))
    g.graph.outputs = [g.Relu(x, name="y")]
    netglot.save(g.graph, "free.onnx")
    result = run("convert", "free.onnx", "-o", "a.tflite")
    assert result.exit_code == 0
    assert "it becomes 1" in result.output
    assert "--batch N" in result.output
    assert "it becomes 1" not in run("convert", "free.onnx", "-o", "b.tflite", "--batch", "2").output
    assert netglot.convert("free.onnx", "c.onnx").warnings == []


def test_validate(here: Path) -> None:
    for source in (PROTOTXT, WEIGHTS):
        (here / source.name.replace("deploy", "digits")).write_bytes(source.read_bytes())
    assert run("validate", "digits.prototxt", "digits.caffemodel").exit_code == 0
    (here / "digits.caffemodel").write_bytes(WEIGHTS.read_bytes()[:-3000])
    assert run("validate", "digits.caffemodel").exit_code == 2
    assert run("convert", PROTOTXT, WEIGHTS, "-o", "a.mlpackage", "--no-verify").exit_code == 0
    parts = [path for path in (here / "a.mlpackage").rglob("*") if path.is_file()]
    result = run("validate", *parts)
    assert result.exit_code == 0
    assert result.output.count("ok") == 1, "the files of a package are one model"
    (here / "alone").mkdir()
    (here / "alone" / "net.prototxt").write_bytes(PROTOTXT.read_bytes())
    assert run("validate", "alone/net.prototxt").exit_code == 0


def test_validate_finds_weights_that_are_not_finite(here: Path) -> None:
    import numpy as np

    import netglot

    graph = netglot.load(PROTOTXT, WEIGHTS)
    weight = next(value for value in graph.constants() if value.array.size > 100)
    weight.data = weight.array.copy()
    weight.data.flat[7] = np.nan
    netglot.save(graph, "bad.onnx")
    result = run("validate", "bad.onnx")
    assert result.exit_code == 2
    assert "NaN" in result.output


# ------------------------------------------------------------------------- inspect


def test_inspect(here: Path) -> None:
    assert "Conv" in run("inspect", PROTOTXT, WEIGHTS).output
    summary = json.loads(run("inspect", PROTOTXT, "--json").output)
    assert summary["inputs"] == [{"name": "data", "dtype": "float32", "shape": [1, 1, 8, 8]}]
    assert summary == json.loads(run("inspect", PROTOTXT, WEIGHTS, "--json").output), "no weights are needed"
    assert "Conv(" in run("inspect", PROTOTXT, "--text").output


def test_formats() -> None:
    result = run("formats")
    assert result.exit_code == 0
    for name in ("caffe", "onnx", "coreml", "tflite", "cpp", "pytorch", "mxnet"):
        assert name in result.output


def test_nothing_heavy_is_imported_for_help() -> None:
    run_help = "try: import netglot.__main__\nexcept SystemExit: pass\n"
    code = f"import sys; sys.argv = ['netglot', '--help']\n{run_help}print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "onnx", "networkx", "rich.console", "coremltools", "onnxruntime"} & set(modules)
