"""Branches, loops and wrappers of PyTorch: exported by torch, saved, read without it, equal for every way through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.errors import UnsupportedError
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import TARGETS

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
nn = torch.nn

POSITIVE = np.random.default_rng(0).uniform(0.1, 1, (3, 4)).astype(np.float32)
Arrays = Mapping[str, np.ndarray]


def saved(module: Any, example: Sequence[np.ndarray], path: Path, *, core: bool = False, sizes: Any = None) -> Graph:
    """The graph of the module's .pt2, of the training IR or of the core one."""
    with torch.no_grad():
        program = torch.export.export(module.eval(), tensors(example), dynamic_shapes=sizes)
    program = program.run_decompositions() if core else program
    torch.export.save(program, path / "model.pt2")
    return netglot.load(path / "model.pt2")


def tensors(arrays: Sequence[np.ndarray]) -> tuple[Any, ...]:
    return tuple(torch.from_numpy(np.array(array)) for array in arrays)


def assert_equal(module: Any, graph: Graph, *feeds: Sequence[np.ndarray]) -> None:
    """On ONNX Runtime, for each feed."""
    graph.check()
    for feed in feeds:
        assert_same(OnnxRuntime(graph).run(named(graph, feed)), graph, expected(module, feed))


def named(graph: Graph, feed: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {value.name: array for value, array in zip(graph.inputs, feed, strict=True)}


def expected(module: Any, feed: Sequence[np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        found = module(*tensors(feed))
    return [item.float().numpy() if item.dtype == torch.bfloat16 else item.numpy()
            for item in (found if isinstance(found, tuple) else (found,))]  # fmt: skip


def assert_same(found: Arrays, graph: Graph, wanted: Sequence[np.ndarray], rtol: float = 1e-5) -> None:
    assert len(graph.outputs) == len(wanted)
    for value, array in zip(graph.outputs, wanted, strict=True):
        assert found[value.name].shape == array.shape
        scale = np.abs(array).max(initial=1e-30)
        assert np.abs(found[value.name].astype(np.float64) - array).max(initial=0) <= rtol * scale


def assert_on(targets: Sequence[str], module: Any, graph_of: Any, path: Path, *feeds: Sequence[np.ndarray]) -> None:
    for target in targets:
        for i, feed in enumerate(feeds):
            folder = path / f"{target}{i}"
            folder.mkdir()
            graph = graph_of()
            found = TARGETS[target](graph, named(graph, feed), folder)
            assert_same(found, graph, expected(module, feed))


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes()]


# ---------------------------------------------------------------------- branches


class Choice(nn.Module):
    """Of a weight that both branches are given and one of them reads."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 5)
        self.other = nn.Linear(4, 5)

    def forward(self, x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda a: self.layer(a) + 1, lambda a: self.other(a) * 2, (x,))


@pytest.mark.parametrize("core", [False, True])
def test_a_branch_reads_the_weights_of_the_module(core: bool, tmp_path: Path) -> None:
    module = Choice()
    graph = saved(module, [POSITIVE], tmp_path, core=core)
    assert "If" in ops(graph)
    assert_equal(module, graph, [POSITIVE], [-POSITIVE])


def test_branches_on_other_targets(tmp_path: Path) -> None:
    module = Choice()
    saved(module, [POSITIVE], tmp_path)
    assert_on(
        ["tflite", "cpp"], module, lambda: netglot.load(tmp_path / "model.pt2"), tmp_path, [POSITIVE], [-POSITIVE]
    )


class Nested(nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        def inner(a: Any, b: Any) -> Any:
            return torch.cond(b.sum() > 0, lambda u, v: (u - v, v * 3), lambda u, v: (u + v, u), (a, b))

        return torch.cond(x.sum() > 0, inner, lambda a, b: (a * b, b.clone()), (x, y))


def test_a_branch_in_a_branch_with_several_results(tmp_path: Path) -> None:
    module, x = Nested(), POSITIVE
    graph = saved(module, [x, x], tmp_path)
    assert_equal(module, graph, [x, x], [x, -x], [-x, x])


class BySize(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.cond(x.shape[0] > 4, lambda a: a + 1, lambda a: a - 1, (x,))


def test_a_size_that_is_open_chooses_when_the_network_runs(tmp_path: Path) -> None:
    module = BySize()
    graph = saved(module, [np.tile(POSITIVE, (2, 1))], tmp_path, sizes=({0: torch.export.Dim("n", min=2, max=20)},))
    assert_equal(module, graph, [POSITIVE], [np.tile(POSITIVE, (2, 1))])


def test_a_size_that_is_known_chooses_when_it_is_read(tmp_path: Path) -> None:
    module = BySize()
    saved(module, [np.tile(POSITIVE, (2, 1))], tmp_path, sizes=({0: torch.export.Dim("n", min=2, max=20)},))
    graph = netglot.load(tmp_path / "model.pt2", inputs={"x": (3, 4)})
    assert "If" not in ops(graph)
    assert_equal(module, graph, [POSITIVE])


class Passed(nn.Module):
    """A branch that gives out what it was given, twice."""

    def forward(self, x: Any, flag: Any) -> Any:
        return torch.cond(flag, lambda a: (a.clone(), a.clone()), lambda a: (a * 2, a + 1), (x,))


def test_the_predicate_may_be_an_input(tmp_path: Path) -> None:
    module = Passed()
    yes, no = np.array(True), np.array(False)
    graph = saved(module, [POSITIVE, yes], tmp_path)
    assert_equal(module, graph, [POSITIVE, yes], [POSITIVE, no])


# ------------------------------------------------------------------------- loops


class Doubling(nn.Module):
    """How many steps it takes depends on the data; `bound` is read by the condition and the body."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, count: Any, x: Any, bound: Any) -> Any:
        def again(i: Any, v: Any) -> Any:
            return (i < 6) & (v.abs().sum() < bound.sum())

        def step(i: Any, v: Any) -> Any:
            return i + 1, v * 2 + 0.01 * self.layer(v) + bound.mean()

        return torch.while_loop(again, step, (count, x)) if hasattr(torch, "while_loop") else _while(
            again, step, (count, x)
        )  # fmt: skip


def _while(again: Any, step: Any, carried: Any) -> Any:
    from torch._higher_order_ops import while_loop

    return while_loop(again, step, carried)


START, BOUND = np.array(0), np.array([20, 30], np.float32)


@pytest.mark.parametrize("core", [False, True])
def test_a_loop_runs_as_often_as_its_condition_says(core: bool, tmp_path: Path) -> None:
    module = Doubling()
    graph = saved(module, [START, POSITIVE, BOUND], tmp_path, core=core)
    assert "Loop" in ops(graph)
    feeds = [[np.array(n), POSITIVE * scale, BOUND] for n, scale in ((0, 1), (6, 1), (3, 0.01), (0, 100))]
    assert_equal(module, graph, *feeds)


def test_loops_on_other_targets(tmp_path: Path) -> None:
    module = Doubling()
    saved(module, [START, POSITIVE, BOUND], tmp_path)
    load = lambda: netglot.load(tmp_path / "model.pt2")  # noqa: E731
    assert_on(["tflite"], module, load, tmp_path, [START, POSITIVE, BOUND], [np.array(4), POSITIVE, BOUND])


class Mapped(nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        from torch._higher_order_ops.map import map as each

        return each(lambda part, whole: (part * 2 + whole).sum(-1), x, y)


def test_a_map_goes_along_the_first_axis(tmp_path: Path) -> None:
    module = Mapped()
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 2, 4)).astype(np.float32), rng.normal(size=(2, 4)).astype(np.float32)
    graph = saved(module, [x, y], tmp_path, sizes=({0: torch.export.Dim("n")}, None))
    assert "Scan" in ops(graph)
    assert_equal(module, graph, [x, y], [np.tile(x, (3, 1, 1)), y])


class Scanned(nn.Module):
    def forward(self, x: Any, start: Any) -> Any:
        from torch._higher_order_ops.scan import scan

        return scan(lambda state, part: (state * 0.5 + part, state.sum(-1) - part.sum(-1)), start, x, dim=1)


@pytest.mark.parametrize("core", [False, True])
def test_a_scan_carries_its_state(core: bool, tmp_path: Path) -> None:
    module = Scanned()
    rng = np.random.default_rng(1)
    x, start = rng.normal(size=(3, 5, 4)).astype(np.float32), POSITIVE
    assert_equal(module, saved(module, [x, start], tmp_path, core=core), [x, start], [-x, start * 2])


def test_a_scan_on_other_targets(tmp_path: Path) -> None:
    module = Scanned()
    x = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)
    saved(module, [x, POSITIVE], tmp_path)
    load = lambda: netglot.load(tmp_path / "model.pt2")  # noqa: E731
    assert_on(["tflite", "cpp"], module, load, tmp_path, [x, POSITIVE])


class Associative(nn.Module):
    def forward(self, x: Any) -> Any:
        from torch._higher_order_ops.associative_scan import associative_scan

        return associative_scan(lambda a, b: a * 0.5 + b, x, dim=0, combine_mode="generic")


def test_an_associative_scan_is_taken_apart_by_torch(tmp_path: Path) -> None:
    module = Associative()
    x = np.random.default_rng(1).normal(size=(7, 4)).astype(np.float32)
    assert_equal(module, saved(module, [x], tmp_path, core=True), [x])


# ---------------------------------------------------------------------- wrappers


class Frozen(nn.Module):
    def forward(self, x: Any) -> Any:
        with torch.enable_grad():
            y = x * 2
        with torch.no_grad():
            return y.sin(), y + 1


def test_what_runs_without_gradients_is_computed_as_it_is(tmp_path: Path) -> None:
    module = Frozen()
    assert_equal(module, saved(module, [POSITIVE], tmp_path), [POSITIVE])


class Mixed(nn.Module):
    """The product is computed in bfloat16, and no cast in the program says so before torch has rewritten it."""

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            product = x @ x.T
        return product.float() + 1


def test_what_is_cast_automatically_is_rewritten_by_torch(tmp_path: Path) -> None:
    module = Mixed()
    graph = saved(module, [POSITIVE], tmp_path)
    found = OnnxRuntime(graph).run(named(graph, [POSITIVE]))
    assert_same(found, graph, expected(module, [POSITIVE]), rtol=1e-2)
    assert "Cast" in ops(graph)


class Checkpointed(nn.Module):
    def forward(self, x: Any) -> Any:
        from torch.utils.checkpoint import checkpoint

        return checkpoint(lambda a: a.sin() + 1, x, use_reentrant=False)


def test_a_checkpoint_is_computed_as_it_is(tmp_path: Path) -> None:
    module = Checkpointed()
    assert_equal(module, saved(module, [POSITIVE], tmp_path), [POSITIVE])


class Unknown(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda a: torch.linalg.svdvals(a), lambda a: a.sum(0)[:3] * 1, (x,))


def test_what_a_branch_can_not_do_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"svd"):
        saved(Unknown(), [POSITIVE], tmp_path)


class Strict(nn.Module):
    def forward(self, x: Any) -> Any:
        from torch._higher_order_ops.strict_mode import strict_mode

        return strict_mode(lambda a: (a.sin() + 1, a * 2), (x,))


class Hinted(nn.Module):
    def forward(self, x: Any) -> Any:
        from torch._higher_order_ops.hints_wrap import hints_wrapper

        return hints_wrapper(lambda a: a.sin() + 1, (x,), {}, hints={"test": True})


@pytest.mark.parametrize("module", [Strict(), Hinted()], ids=lambda module: type(module).__name__)
def test_what_only_says_how_to_compute_is_computed_as_it_is(module: Any, tmp_path: Path) -> None:
    assert_equal(module, saved(module, [POSITIVE], tmp_path), [POSITIVE])


class Autocast(nn.Module):
    """A body in which casts are made that the program does not record, or (disabled) are not made."""

    def __init__(self, *, enabled: bool) -> None:
        super().__init__()
        self.enabled, self.linear = enabled, nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.enabled):
            y = self.linear(x * 2)
        return y.float() + 1


def test_a_body_without_autocast_needs_no_decomposition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netglot.frontends.pytorch.decompose._rewritten", None)
    module = Autocast(enabled=False)
    assert_equal(module, saved(module, [POSITIVE], tmp_path), [POSITIVE])


def test_the_casts_of_autocast_are_made(tmp_path: Path) -> None:
    module = Autocast(enabled=True)
    graph = saved(module, [POSITIVE], tmp_path)
    found = OnnxRuntime(graph).run(named(graph, [POSITIVE]))
    exact = Autocast(enabled=False)
    exact.load_state_dict(module.state_dict())
    (wanted,), (other,) = expected(module, [POSITIVE]), expected(exact, [POSITIVE])
    assert np.abs(other - wanted).max() > 1e-4  # or it would show nothing
    np.testing.assert_allclose(next(iter(found.values())), wanted, atol=1e-2)
    assert any(value.dtype == np.dtype("bfloat16") for value in graph.values())
