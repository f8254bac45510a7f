"""What a user of PyTorch has in hand: modules in memory, .pt2 files, factories; names, sizes, places, notes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.cli import main
from netglot.runtimes.onnxruntime import OnnxRuntime
from netglot.runtimes.pytorch import PyTorch
from netglot.verify.inputs import random_inputs
from tests.test_cli import run

torch = pytest.importorskip("torch")
nn = torch.nn
Dim = torch.export.Dim


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(inplace=True))
        self.head = nn.Linear(5, 4)

    def forward(self, image: Any) -> Any:
        features = self.stem(image)
        return {"scores": self.head(features.mean((2, 3))), "maps": {"features": features}}


def make() -> nn.Module:
    torch.manual_seed(0)
    return Net()


IMAGE = (torch.randn(2, 3, 8, 9, generator=torch.Generator().manual_seed(1)),)


def saved(module: nn.Module, args: Any, path: Path, **options: Any) -> Path:
    torch.export.save(torch.export.export(module.eval(), args, **options), path)
    return path


# ------------------------------------------------------------------------- sources


def test_a_module_in_memory() -> None:
    module = make()
    graph = netglot.load(module, args=IMAGE)
    assert [value.name for value in graph.inputs] == ["image"]
    assert [value.name for value in graph.outputs] == ["scores", "maps.features"]
    found = OnnxRuntime(graph).run({"image": IMAGE[0].numpy()})
    with torch.no_grad():
        wanted = module.eval()(*IMAGE)
    np.testing.assert_allclose(found["scores"], wanted["scores"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["maps.features"], wanted["maps"]["features"], rtol=1e-5, atol=1e-6)


def test_the_module_stays_as_it_was() -> None:
    module = make().train()
    netglot.load(module, args=IMAGE)
    assert module.training
    assert module.stem[1].training


def test_weights_are_not_copied() -> None:
    module = make()
    graph = netglot.load(module, args=IMAGE)
    weight = module.head.weight.detach().numpy()
    assert any(np.shares_memory(value.array, weight) for value in graph.constants())


def test_keyword_arguments_and_an_exported_program(tmp_path: Path) -> None:
    module = make()
    assert netglot.convert(module, tmp_path / "a.onnx", kwargs={"image": IMAGE[0]}).ok
    program = torch.export.export(module.eval(), IMAGE)
    report = netglot.convert(program, tmp_path / "b.tflite")
    assert report.ok
    assert report.expected_by.startswith("PyTorch")


def test_what_can_not_be_exported_says_why() -> None:
    class Bad(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(netglot.ConversionError, match=r"torch\.export can't export this module"):
        netglot.load(Bad(), args=(torch.ones(3),))
    with pytest.raises(netglot.ConversionError, match="a module needs example inputs"):
        netglot.load(make())
    with pytest.raises(netglot.ConversionError, match="neither a file's name nor a model"):
        netglot.load(3)  # type: ignore[arg-type]


def test_the_pt2_file(tmp_path: Path) -> None:
    path = saved(make(), IMAGE, tmp_path / "net.pt2")
    for target in ("onnx", "tflite", "coreml"):
        result = run("convert", path, "--to", target, "-o", tmp_path / f"out_{target}")
        assert result.exit_code == 0, result.output
        assert "equal within 1e-05" in result.output
        assert "expected: PyTorch" in result.output


def test_verify_and_inspect(tmp_path: Path) -> None:
    path = saved(make(), IMAGE, tmp_path / "net.pt2")
    netglot.save(netglot.load(path), tmp_path / "net.onnx")
    assert netglot.verify(path, tmp_path / "net.onnx").ok
    assert "Conv" in run("inspect", path).output


FACTORY = """
import torch

class Double(torch.nn.Module):
    def forward(self, x, y):
        return x * 2 + y.to(x.dtype)

def make():
    return Double()

def broken():
    raise RuntimeError("no such weights")

number = 3
"""


def test_a_factory_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    shapes = ["--input", "x:2x3", "--input", "y:2x3:int64"]
    for name in ("my_nets:make", "my_nets.py:make"):
        result = run("convert", "--from", "pytorch", name, "--to", "onnx", *shapes, "--force")
        assert result.exit_code == 0, result.output
        assert (tmp_path / "make.onnx").exists()
    for name, what in (("my_nets:broken", "no such weights"), ("my_nets:nothing", "nothing"), ("nowhere:f", "nowhere"),
                       ("my_nets:number", "can't be called"), ("my_nets.py:Double.x", "no such file")):  # fmt: skip
        result = run("convert", "--from", "pytorch", name, "--to", "onnx", *shapes, "--force")
        assert result.exit_code == 2, result.output
        assert what in result.output
    assert "say the shapes" in run("convert", "--from", "pytorch", "my_nets:make", "--to", "onnx", "--force").output
    assert run("convert", "my_nets:make", "--to", "onnx", *shapes).exit_code == 2, "code runs only with --from pytorch"


HIDDEN = "import sys; sys.modules['torch'] = None; from netglot.cli import main; main(sys.argv[1:])"
FORBIDDEN = """
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        assert name.partition(".")[0] != "torch", "imports torch"
sys.meta_path.insert(0, Forbidden())
from netglot.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml", "cpp"])
def test_a_pt2_is_converted_without_torch(tmp_path: Path, target: str) -> None:
    path = saved(make(), IMAGE, tmp_path / "net.pt2")
    for i, (script, options) in enumerate(((HIDDEN, []), (FORBIDDEN, ["--no-verify"]))):
        if target == "cpp" and not options:
            continue  # compiling it takes long, and is tested elsewhere
        command = [
            sys.executable,
            "-c",
            script,
            "convert",
            path,
            "--to",
            target,
            "-o",
            tmp_path / f"{i}_{target}",
            *options,
        ]
        done = subprocess.run([str(item) for item in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if not options:
            assert "equal within 1e-05" in done.stdout


# --------------------------------------------------------------------------- sizes


class Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Conv1d(4, 3, 3, padding=1)

    def forward(self, words: Any, lengths: Any) -> Any:
        hidden = self.scores(words.transpose(1, 2)).transpose(1, 2).cumsum(1)
        mask = torch.arange(words.shape[1])[None] < lengths[:, None]
        mean = (hidden * mask[..., None]).sum(1) / lengths[:, None]
        flat = hidden.reshape(words.shape[0], -1)
        return mean, flat, torch.cat([words, words], 1), flat.shape[1] + words.shape[0]


def test_open_sizes_stay_open_and_are_verified_at_three(tmp_path: Path) -> None:
    torch.manual_seed(0)
    batch, time = Dim("batch", max=64), Dim("time", min=2, max=50)
    shapes = {"words": {0: batch, 1: time}, "lengths": {0: batch}}
    args = (torch.randn(3, 5, 4), torch.tensor([5, 2, 4]))
    path = saved(Sequences(), args, tmp_path / "net.pt2", dynamic_shapes=shapes)
    graph = netglot.load(path)
    words, lengths = graph.inputs
    assert isinstance(words.shape[0], str)
    assert words.shape[0] == lengths.shape[0] != words.shape[1]
    runtime = PyTorch(path)
    sizes = [tuple(item["words"].shape) for item in random_inputs(runtime.inputs, 3, sizes=runtime.sizes)]
    assert len(set(sizes)) == 3
    report = netglot.convert(path, tmp_path / "net.onnx")
    assert report.ok
    assert report.samples == 4
    for one, other in ((1, 2), (7, 3), (64, 50)):
        given = {"words": np.random.default_rng(0).normal(size=(one, other, 4)).astype(np.float32),
                 "lengths": np.full(one, other, np.int64)}  # fmt: skip
        found, wanted = OnnxRuntime(graph).run(given), runtime.run(given)
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


def test_a_batch_for_targets_that_need_sizes(tmp_path: Path) -> None:
    path = saved(make(), IMAGE, tmp_path / "net.pt2", dynamic_shapes={"image": {0: Dim("batch")}})
    report = netglot.convert(path, tmp_path / "one.tflite")
    assert report.ok
    assert any("becomes 1" in str(warning) for warning in report.warnings)
    assert netglot.convert(path, tmp_path / "five.tflite", batch=5).outputs[0].shape[0] == 5
    assert netglot.convert(path, tmp_path / "six.onnx", inputs={"image": (6, 3, 8, 9)}).ok


def test_sizes_that_the_program_was_not_exported_for(tmp_path: Path) -> None:
    path = saved(make(), IMAGE, tmp_path / "net.pt2", dynamic_shapes={"image": {0: Dim("batch", max=8)}})
    with pytest.raises(netglot.ConversionError, match=r"exported for 'image' of the shape[\s\S]*dynamic_shapes"):
        netglot.load(path, inputs={"image": (2, 3, 8, 8)})
    with pytest.raises(netglot.ConversionError, match=r"exported for \d+ to 8 along"):
        netglot.load(path, batch=9)


def test_sizes_that_must_fit_together(tmp_path: Path) -> None:
    """As a decoder with a cache: the mask is as long as both others, which nothing in the program's limits says."""

    class Joined(nn.Module):
        def forward(self, past: Any, now: Any, mask: Any) -> Any:
            return torch.cat([past, now], 1) * mask

    args = (torch.randn(2, 4), torch.randn(2, 3), torch.randn(2, 7))
    free = {1: Dim.DYNAMIC}
    path = saved(Joined(), args, tmp_path / "net.pt2", dynamic_shapes={"past": free, "now": free, "mask": free})
    report = netglot.convert(path, tmp_path / "net.onnx")
    assert report.ok
    assert report.samples >= 1


# ------------------------------------------------------------------------ what is said


def test_nodes_know_their_module_and_line() -> None:
    graph = netglot.load(make(), args=IMAGE)
    origins = {node.op: node.origin for node in graph.nodes()}
    assert origins["Conv"].layer == "stem.0"
    assert origins["Gemm"].layer == "head"
    assert origins["Conv"].file == __file__
    lines = Path(__file__).read_text().splitlines()
    assert "self.stem(image)" in lines[origins["Conv"].line - 1]
    assert "self.head(" in lines[origins["Gemm"].line - 1]


@pytest.fixture(scope="module")
def library() -> Any:
    library = torch.library.Library("netglot_test", "FRAGMENT")
    for name in ("wave", "ripple"):
        library.define(f"{name}(Tensor x, float amount=1.0) -> Tensor")
        library.impl(name, lambda x, amount=1.0: torch.sin(x) * amount, "CompositeExplicitAutograd")
        torch.library.register_fake(f"netglot_test::{name}", lambda x, amount=1.0: torch.empty_like(x), lib=library)
    return library


class Custom(nn.Module):
    def forward(self, x: Any) -> Any:
        y = torch.ops.netglot_test.wave(x, 2.0)
        return torch.ops.netglot_test.ripple(y.relu())


def test_every_operator_that_is_missing_is_named_with_its_line(library: Any) -> None:
    with pytest.raises(netglot.UnsupportedError) as caught:
        netglot.load(Custom(), args=(torch.randn(2, 3),))
    text = str(caught.value)
    assert "netglot_test.wave.default" in text
    assert "netglot_test.ripple.default" in text
    assert text.count(f"{__file__}:") == 2
    assert "--plugin" in text


PLUGIN = """
from netglot.frontends.pytorch import torch_op

@torch_op("netglot_test.wave.default", "netglot_test.ripple.default")
def wave(g, x, *, amount: float = 1.0):
    return g.Mul(g.Sin(x), g.number(amount, x.dtype))
"""


def test_a_plugin_maps_an_operator(library: Any, tmp_path: Path) -> None:
    from netglot.registry import registry

    (tmp_path / "plugin.py").write_text(PLUGIN)
    try:
        program = torch.export.export(Custom(), (torch.randn(2, 3),))
        assert netglot.convert(program, tmp_path / "net.onnx", plugins=[tmp_path / "plugin.py"]).ok
    finally:
        for name in ("wave", "ripple"):
            registry._operators.pop(("pytorch", f"netglot_test.{name}.default"), None)


def test_state_that_changes_is_noted() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x: Any) -> Any:
            self.seen += 1
            return x + self.seen

    graph = netglot.load(Counter(), args=(torch.ones(2),))
    assert any("'seen'" in str(warning) for warning in graph.warnings)
    np.testing.assert_array_equal(OnnxRuntime(graph).run({"x": np.ones(2, np.float32)})[graph.outputs[0].name], [2, 2])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_element_types(dtype: str, tmp_path: Path) -> None:
    kind = getattr(torch, dtype)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU()).to(kind).eval()
    program = torch.export.export(module, (torch.ones(2, 6, dtype=kind),))
    graph = netglot.load(program)
    assert str(graph.outputs[0].dtype) == dtype
    assert netglot.convert(program, tmp_path / "net.onnx", rtol=1e-2 if dtype != "float64" else 1e-12).ok


def test_outputs_that_are_inputs_weights_and_each_other() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.arange(3.0))

        def forward(self, x: Any) -> Any:
            y = x + 1
            return x, self.weight, y, y, 7

    graph = netglot.load(Odd(), args=(torch.ones(3),))
    found = list(OnnxRuntime(graph).run({"x": np.ones(3, np.float32)}).values())
    for array, wanted in zip(found, ([1, 1, 1], [0, 1, 2], [2, 2, 2], [2, 2, 2]), strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_inner_outputs(tmp_path: Path) -> None:
    graph = netglot.load(saved(make(), IMAGE, tmp_path / "net.pt2"))
    inner = next(node.output.name for node in graph.nodes() if node.op == "BatchNormalization")
    assert netglot.load(tmp_path / "net.pt2", outputs=[inner]).outputs[0].name == inner


def test_the_command_is_what_the_readme_says() -> None:
    assert callable(main)
