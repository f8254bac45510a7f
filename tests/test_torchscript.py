"""TorchScript archives against torch itself, which made them: every output of the graph is torch's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends import pytorch
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.pytorch.torchscript.calls import order
from netglot.frontends.pytorch.torchscript.views import PARTS, PERHAPS, SAME, VIEWS
from netglot.ir.graph import Graph
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime

torch = pytest.importorskip("torch")
from tests import torchscript_modules as modules  # noqa: E402


def load(module: Any, path: Path, shapes: dict[str, TensorSpec]) -> Graph:
    file = path / "model.pt"
    torch.jit.save(module, str(file))
    graph = pytorch.load(file, options=LoadOptions(inputs=shapes))
    graph.check()
    return graph


def specs(module: Any, examples: Sequence[Any], shapes: Sequence[Any] | None = None) -> dict[str, TensorSpec]:
    names = [argument.name for argument in module.forward.schema.arguments][1:]
    sizes = shapes or [tuple(example.shape) for example in examples]
    dtypes = [np.dtype(str(example.dtype).removeprefix("torch.")) for example in examples]
    return {name: TensorSpec(size, dtype) for name, size, dtype in zip(names, sizes, dtypes, strict=False)}


def flat(item: Any) -> list[Any]:
    items = item.values() if isinstance(item, dict) else item if isinstance(item, (list, tuple)) else None
    return [item] if items is None else [leaf for part in items for leaf in flat(part)]


def assert_equals_torch(
    module: Any, path: Path, *feeds: Sequence[Any], shapes: Sequence[Any] | None = None, rtol: float = 1e-5
) -> Graph:  # fmt: skip
    """The graph made for the shapes of the first feed (or `shapes`) computes what torch computes for each feed."""
    torch.set_num_threads(1)
    given = specs(module, feeds[0], shapes)
    graph = load(module, path, given)
    runtime = OnnxRuntime(graph)
    for feed in feeds:
        found = runtime.run({name: example.numpy() for name, example in zip(given, feed, strict=True)})
        with torch.no_grad():
            wanted = flat(module(*(example.clone() for example in feed)))
        assert len(wanted) == len(graph.outputs)
        for value, one in zip(graph.outputs, wanted, strict=True):
            assert_close(found[value.name], np.asarray(one), rtol)
    return graph


def assert_close(actual: np.ndarray, wanted: np.ndarray, rtol: float) -> None:
    assert actual.shape == wanted.shape
    assert actual.dtype == wanted.dtype
    scale = np.abs(wanted.astype(np.float64)).max(initial=1e-30)
    assert np.abs(actual.astype(np.float64) - wanted.astype(np.float64)).max(initial=0) <= rtol * scale


def random(*shape: int, seed: int = 0) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------ networks


def ways(module: Any, *examples: Any) -> list[Any]:
    """The module traced, scripted and frozen."""
    module = module.eval()
    scripted = torch.jit.script(module)
    return [torch.jit.trace(module, examples, check_trace=False), scripted, torch.jit.freeze(scripted)]


@pytest.mark.parametrize("way", range(3))
def test_a_residual_network(way: int, tmp_path: Path) -> None:
    module = ways(modules.Residual(), random(2, 3, 9, 8))[way]
    graph = assert_equals_torch(module, tmp_path, [random(2, 3, 9, 8)])
    assert [value.name for value in graph.inputs] == ["x"]
    assert [value.name for value in graph.outputs] == ["output_0"]


@pytest.mark.parametrize("way", range(3))
def test_an_open_batch(way: int, tmp_path: Path) -> None:
    module = ways(modules.Residual(), random(2, 3, 9, 8))[way]
    graph = assert_equals_torch(
        module, tmp_path, *([random(n, 3, 9, 8, seed=n)] for n in (1, 2, 5)), shapes=[("batch", 3, 9, 8)]
    )
    assert graph.inputs[0].shape == ("batch", 3, 9, 8)


@pytest.mark.parametrize("way", range(3))
def test_recurrent_layers(way: int, tmp_path: Path) -> None:
    module = ways(modules.Recurrent(), random(6, 3, 4))[way]
    graph = assert_equals_torch(module, tmp_path, [random(6, 3, 4)])
    assert {"LSTM", "GRU"} <= {node.op for node in graph.nodes()}


def test_a_transformer_encoder(tmp_path: Path) -> None:
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        module = ways(modules.encoder(), random(2, 5, 8))[0]
        assert_equals_torch(module, tmp_path, [random(2, 5, 8)])
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_layers_and_lines_of_the_code_are_kept(tmp_path: Path) -> None:
    graph = load(torch.jit.script(modules.Residual().eval()), tmp_path, {"x": TensorSpec((2, 3, 9, 8))})
    layers = {node.origin.layer for node in graph.nodes() if node.op == "Conv"}
    assert layers == {"stem", "blocks.0.c1", "blocks.1.c1"}
    assert all(node.origin.line for node in graph.nodes())
    assert {"stem.weight", "blocks.0.c1.weight", "fc.bias"} <= {value.name for value in graph.constants()}


def test_weights_are_views_of_the_file(tmp_path: Path) -> None:
    graph = load(torch.jit.script(modules.Residual().eval()), tmp_path, {"x": TensorSpec((2, 3, 9, 8))})
    data = graph["stem.weight"].array
    assert not data.flags.owndata
    assert not data.flags.writeable


def test_weights_that_are_shared_are_one_constant(tmp_path: Path) -> None:
    graph = assert_equals_torch(torch.jit.script(modules.Shared()), tmp_path, [random(3, 4)])
    assert sum(value.shape == (4, 4) for value in graph.constants()) == 1


def test_half_precision(tmp_path: Path) -> None:
    module = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU()).half())
    assert_equals_torch(module, tmp_path, [random(3, 4).half()], rtol=2e-3)


# ------------------------------------------------------------------------ language


@pytest.mark.parametrize("name", ["Lists", "Early", "Break", "Data", "Counted", "Strings", "Views", "Checks", "Maker"])
def test_scripted_code(name: str, tmp_path: Path) -> None:
    """Each on inputs that take different branches."""
    module = torch.jit.script(getattr(modules, name)())
    feeds = [random(3, 4), random(3, 4).abs(), -random(3, 4).abs(), 5 * random(3, 4, seed=2)]
    if name == "Checks":
        feeds = [feed.abs() for feed in feeds]
    assert_equals_torch(module, tmp_path, *([feed] for feed in feeds))


@pytest.mark.parametrize("name", ["Views", "Counted", "Data"])
def test_scripted_code_with_open_sizes(name: str, tmp_path: Path) -> None:
    module = torch.jit.script(getattr(modules, name)())
    assert_equals_torch(module, tmp_path, *([random(n, 4, seed=n)] for n in (2, 3, 7)), shapes=[("n", 4)])


def test_views_of_a_traced_module(tmp_path: Path) -> None:
    assert_equals_torch(torch.jit.trace(modules.Views(), random(3, 4)), tmp_path, [random(3, 4)])


def test_a_loop_and_a_condition_on_data_stay(tmp_path: Path) -> None:
    graph = load(torch.jit.script(modules.Data()), tmp_path, {"x": TensorSpec((3, 4))})
    assert {"If", "Loop"} <= {node.op for node in graph.nodes()}


def test_outputs_are_named_by_keys_and_fields(tmp_path: Path) -> None:
    graph = assert_equals_torch(torch.jit.script(modules.Named()), tmp_path, [random(3, 4)])
    assert [value.name for value in graph.outputs] == ["first", "second.a", "second.b.0"]


def test_an_optional_input(tmp_path: Path) -> None:
    module = torch.jit.script(modules.Optionally())
    assert_equals_torch(module, tmp_path, [random(3, 4)])
    assert_equals_torch(module, tmp_path, [random(3, 4), random(4, seed=1)])


def test_inputs_of_a_tuple(tmp_path: Path) -> None:
    module = torch.jit.script(modules.Pair())
    graph = load(module, tmp_path, {"hx.0": TensorSpec((2, 3)), "hx.1": TensorSpec((3,))})
    a, b = random(2, 3), random(3, seed=1)
    found = OnnxRuntime(graph).run({"hx.0": a.numpy(), "hx.1": b.numpy()})
    assert_close(found["output_0"], module((a, b)).numpy(), 1e-5)


# ------------------------------------------------------------------------ refusals


def test_shapes_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="does not say the shapes of its inputs") as error:
        load(torch.jit.script(modules.Residual()), tmp_path, {})
    assert "--input x:" in str(error.value)


def test_a_name_that_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="forward has no input y; its inputs are x"):
        load(torch.jit.script(modules.Residual()), tmp_path, {"y": TensorSpec((1, 3, 8, 8))})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ListInLoop", "a list is changed under a condition, or in a loop"),
        ("Reshaped", "is read after"),
        ("KindOfBranch", "depends on what is computed"),
        ("Resized", "changes the shape of the tensor itself"),
        ("Endless", "more than 20000 steps"),
        ("Raises", "raises an exception: .*too small"),
    ],
)
def test_what_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=reason):
        load(torch.jit.script(getattr(modules, name)()), tmp_path, {"x": TensorSpec((3, 4))})


def test_all_unknown_operators_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as error:
        load(torch.jit.script(modules.Unsupported()), tmp_path, {"x": TensorSpec((3, 3))})
    assert [problem.what for problem in error.value.problems] == [
        "the operator 'aten.linalg_matrix_exp' is not supported", "the operator 'aten.geqrf' is not supported",
    ]  # fmt: skip
    assert all(problem.origin.line for problem in error.value.problems)


# -------------------------------------------------------------------------- tables


def overloads() -> list[str]:
    return [name for name in registry.ops("pytorch") if name.startswith("aten.")]


def schema(target: str) -> Any:
    """Some operators there are in place only."""
    _, name, overload = target.split(".")
    found = getattr(torch.ops.aten, name)
    packet = found if overload in found.overloads() else getattr(torch.ops.aten, f"{name}_")
    return getattr(packet, overload)._schema


def by_position(target: str) -> list[str]:
    return [argument.name for argument in schema(target).arguments if not argument.kwarg_only]


def test_arguments_have_the_order_of_the_schema() -> None:
    wrong = []
    for target in overloads():
        wanted, operator = by_position(target), registry.find("pytorch", target)
        assert operator is not None
        ours = [name.removesuffix("_") for name in order(operator)]  # what Python reserves has one
        if wanted and wanted[0] not in ours:
            wanted[0] = ours[0]
        wrong += [target] if ours[: len(wanted)] != wanted else []
    assert wrong == []


def test_no_overload_takes_the_positions_of_another() -> None:
    """What a schema has by keyword only must not be taken by position where another overload means something else."""
    wrong = []
    for target in overloads():
        operator = registry.find("pytorch", target)
        assert operator is not None
        ours, count = order(operator), len(by_position(target))
        same = [other for other in overloads() if other.split(".")[1] == target.split(".")[1]]
        others = [other for other in same if schema(other).name == schema(target).name]  # not those in place only
        for other in others:
            rest = by_position(other)[count : len(ours)]
            wrong += [(target, other)] if ours[count : count + len(rest)] != rest else []
    assert wrong == []


def test_operators_that_give_views_are_known() -> None:
    known = SAME | PERHAPS | set(VIEWS) | PARTS
    unknown = set()
    for target in overloads():
        results = schema(target).returns
        if any(result.alias_info is not None and not result.alias_info.is_write for result in results):
            unknown |= {target.split(".")[1]} - known
    assert unknown == set()
