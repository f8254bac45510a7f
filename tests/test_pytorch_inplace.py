"""Programs that change tensors in place, which may be seen by other names too: never silently wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.errors import UnsupportedError
from netglot.frontends.pytorch import aliases
from netglot.frontends.pytorch.arguments import BodyRef, Ref
from netglot.frontends.pytorch.program import Body, Call
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime

X = np.arange(-10, 14, dtype=np.float32).reshape(2, 3, 4) / 3


def _first_column(x: Any) -> Any:
    y = x + 1
    y[:, 0] = 1
    return y


def _masked(x: Any) -> Any:
    y = x * 2
    y[y > 1] = 0
    return y


def _through_a_view(x: Any) -> Any:
    y = x + 0.5
    view = y.view(-1)
    view.add_(1)
    return y * 2


def _view_seen_later(x: Any) -> Any:
    y = x + 0.5
    view = y[0]
    y.mul_(3)
    return view - 1


def _given_out_before(x: Any) -> Any:
    y = x * 1
    flat = y.reshape(-1)
    y.add_(1)
    return flat, y


def _sums(x: Any) -> Any:
    y = x * 1
    y += x
    y -= 2
    y *= y
    return y


def _strided(x: Any) -> Any:
    y = x + 1
    y[..., ::2].mul_(2)
    return y


def _accumulated(x: Any) -> Any:
    import torch

    y = x * 1
    y.index_put_((torch.tensor([0, 0, 1]), torch.tensor([2, 2, 0])), torch.ones(3, 4), accumulate=True)
    return y


def _zeroed(x: Any) -> Any:
    y = x * 2
    y[1].zero_()
    return y


def _preallocated(x: Any) -> Any:
    import torch

    out = torch.zeros(4, 3, 4)
    out[1:3].copy_(x)
    out[3] = x.sum(0)
    return out


def _loop(x: Any) -> Any:
    import torch

    rows = torch.zeros(3, 2, 4)
    for i in range(3):
        rows[i] = x[:, i] * (i + 1)
    return rows


def _transposed(x: Any) -> Any:
    y = x * 1
    z = y.transpose(1, 2)
    z[0, 1] = 7
    y.unsqueeze_(0)
    y.squeeze_(0)
    return y, z


def _one_operand(x: Any) -> Any:
    """einsum hands on a view of its only operand."""
    import torch

    y = x * 1
    z = torch.einsum("ijk->kji", y)
    z.add_(5)
    return y


def _dropped_out(x: Any) -> Any:
    """What dropout does nothing to, it hands on as it is."""
    import torch

    y = x * 1
    z = torch.nn.functional.dropout(y, training=False)
    z.add_(1)
    return y


def _without_gradient(x: Any) -> Any:
    import torch

    y = x * 1
    with torch.no_grad():
        y.add_(2)
        y[0].mul_(2)
    return y


def _diagonal(x: Any) -> Any:
    y = x[0, :, :3] * 1
    y.diagonal().fill_(4)
    y.fill_diagonal_(2)
    return y


def _pieces(x: Any) -> Any:
    y = x * 1
    a, b = y.chunk(2, dim=-1)
    a.relu_()
    b.copy_(a)
    return y


def _filled(x: Any) -> Any:
    y = x.clone()
    y.masked_fill_(y < 0, float("-inf"))
    y.clamp_(min=-1)
    y.scatter_(2, (x > 0).long(), 9.0)
    return y


def _widened(x: Any) -> Any:
    """In place a tensor keeps its type."""
    y = (x * 4).to(dtype=__import__("torch").int32)
    y += x > 0
    y[0] = 2.7
    return y


FUNCTIONS: list[Callable[[Any], Any]] = [
    _first_column, _masked, _through_a_view, _view_seen_later, _given_out_before, _sums, _strided, _accumulated,
    _zeroed, _preallocated, _loop, _transposed, _without_gradient, _diagonal, _pieces,
    _filled, _widened,
]  # fmt: skip


def _module(function: Callable[[Any], Any]) -> Any:
    torch = pytest.importorskip("torch")
    return type("Module", (torch.nn.Module,), {"forward": lambda self, x: function(x)})()


def _converted(module: Any, path: Path) -> Any:
    torch = pytest.importorskip("torch")
    program = torch.export.export(module.eval(), (torch.from_numpy(X.copy()),))
    torch.export.save(program, path / "model.pt2")
    return netglot.load(path / "model.pt2")


def _assert_equal(graph: Any, module: Any) -> None:
    torch = pytest.importorskip("torch")
    wanted = module(torch.from_numpy(X.copy()))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    found = OnnxRuntime(graph).run({graph.inputs[0].name: X})
    assert len(graph.outputs) == len(wanted)
    for value, tensor in zip(graph.outputs, wanted, strict=True):
        assert found[value.name].dtype == tensor.detach().numpy().dtype
        wanted = tensor.detach().numpy()
        np.testing.assert_allclose(found[value.name], wanted, rtol=0, atol=1e-6 * max(1, float(np.abs(wanted).max())))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__.strip("_"))
def test_changes_in_place(function: Callable[[Any], Any], tmp_path: Path) -> None:
    module = _module(function)
    _assert_equal(_converted(module, tmp_path), module)


WRITTEN = [_first_column, _through_a_view, _view_seen_later, _strided, _zeroed, _preallocated, _loop, _transposed,
           _widened]  # fmt: skip


@pytest.mark.parametrize("function", WRITTEN, ids=lambda function: function.__name__.strip("_"))
def test_changes_of_plain_views_need_no_torch(
    function: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swin v2 and MViT v2 of torchvision have these; torch's decompositions of those take up to two minutes."""
    monkeypatch.setattr("netglot.frontends.pytorch.decompose._rewritten", None)
    module = _module(function)
    _assert_equal(_converted(module, tmp_path), module)


def _steps(seed: int) -> Callable[[Any], Any]:
    """A random program: views of views, changes by any of them, and reads of all that there is, now and at the end."""

    def run(x: Any) -> Any:
        import torch

        rng = np.random.default_rng(seed)
        seen, read = [x * 1], []
        for _ in range(int(rng.integers(4, 12))):
            y = seen[rng.integers(len(seen))]
            axis = int(rng.integers(y.ndim)) if y.ndim else 0
            kind = int(rng.integers(8)) if y.ndim else 7
            if kind == 0 and y.ndim > 1:
                seen.append(y.select(axis, -1))
            elif kind == 1 and y.shape[axis] > 1:
                seen.append(y.narrow(axis, 1, y.shape[axis] - 1))
            elif kind == 2 and y.ndim < 5:
                seen.append(y.unsqueeze(axis))
            elif kind == 3 and y.ndim > 1:
                seen.append(y.transpose(0, axis))
            elif kind == 4:
                read.append(y.sum() * (len(read) + 1))
            elif kind == 5:
                y.copy_(torch.relu(y) * 2)
            elif kind == 6:
                seen.append(y.mul_(0.5))
            else:
                y += 1
        return sum(read, torch.zeros(())), *(item * 1 for item in seen)

    return run


@pytest.mark.parametrize("seed", range(15))
def test_any_changes_of_plain_views(seed: int, tmp_path: Path) -> None:
    module = _module(_steps(seed))
    _assert_equal(_converted(module, tmp_path), module)


@pytest.mark.parametrize("function", [_one_operand, _dropped_out], ids=lambda function: function.__name__.strip("_"))
def test_what_torch_itself_would_lose_is_refused(function: Callable[[Any], Any], tmp_path: Path) -> None:
    """run_decompositions drops these changes without a word: the schemas do not say that memory is shared."""
    with pytest.raises(UnsupportedError, match="changes a tensor that is also seen as"):
        _converted(_module(function), tmp_path)


def test_activations_in_place(tmp_path: Path) -> None:
    nn = pytest.importorskip("torch").nn
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3), nn.Hardtanh(inplace=True))
    _assert_equal(_converted(module, tmp_path), module)


def test_what_hands_on_what_was_changed_before(tmp_path: Path) -> None:
    """As in AlexNet: nothing that was seen before is read again, and nothing need be rewritten."""
    nn = pytest.importorskip("torch").nn
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.Linear(15, 3))
    _assert_equal(_converted(module, tmp_path), module)
    x, y, z = Ref("x"), Ref("y"), Ref("z")
    view = Call("aten.view.default", (("self", y),), ("z",))
    add = Call("aten.add_.Tensor", (("self", x), ("other", 1)), ("y",))
    assert aliases.unsafe_mutations(Body((x,), (z,), (add, view))) == {}
    assert aliases.unsafe_mutations(Body((x,), (y, z), (add, view, add))) == {2: "z"}


def test_a_buffer_that_is_changed(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.tensor(3.0))

        def forward(self, x: Any) -> Any:
            self.count.add_(1)
            return x * self.count

    graph = _converted(Counting(), tmp_path)
    assert any("its own 'count'" in str(warning.what) for warning in graph.warnings)
    _assert_equal(graph, Counting())


def test_a_buffer_that_is_changed_by_a_view(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Cache(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cache", torch.zeros(3, 3, 4))

        def forward(self, x: Any) -> Any:
            self.cache[1:] = x
            return self.cache.sum(0)

    graph = _converted(Cache(), tmp_path)
    assert any("its own 'cache'" in str(warning.what) for warning in graph.warnings)
    _assert_equal(graph, Cache())


def test_an_input_that_is_changed(tmp_path: Path) -> None:
    module = _module(lambda x: x.mul_(2) + 1)
    graph = _converted(module, tmp_path)
    assert any("its input 'x'" in str(warning.what) for warning in graph.warnings)
    _assert_equal(graph, module)


def test_a_tensor_of_the_body_around_is_no_body_s_own() -> None:
    x, y = Ref("x"), Ref("y")
    body = Body((x,), (y,), (Call("aten.add_.Tensor", (("self", x), ("other", 1)), ("y",)),))
    assert aliases.unsafe_mutations(body) == {}
    assert aliases.unsafe_mutations(body, is_inner=True) == {0: "x"}


def test_what_runs_a_body_may_hand_on_its_arguments() -> None:
    inner = Body((Ref("a"),), (Ref("b"),), (Call("aten.view.default", (("self", Ref("a")),), ("b",)),))
    arguments = (("", False), ("", BodyRef("body", inner)), ("", Ref("x")))
    calls = (
        Call("higher_order.wrap_with_set_grad_enabled", arguments, ("v",)),
        Call("aten.add_.Tensor", (("self", Ref("v")), ("other", 1)), ("w",)),
    )  # fmt: skip
    assert aliases.unsafe_mutations(Body((Ref("x"),), (Ref("x"),), calls)) == {1: "x"}


# ------------------------------------------------------------------------- against torch's schemas


def _schemas() -> list[tuple[str, Any]]:
    torch = pytest.importorskip("torch")
    found = []
    for full in torch._C._dispatch_get_all_op_names():
        namespace, _, name = full.partition("::")
        base, _, overload = name.partition(".")
        packet = getattr(torch.ops.aten, base, None) if namespace == "aten" else None
        operator = getattr(packet, overload or "default", None)
        if operator is not None:
            found.append((base, operator._schema))
    return found


def _is_read_alias(item: Any) -> bool:
    return item.alias_info is not None and not item.alias_info.is_write


def test_every_view_of_torch_is_known() -> None:
    """An operator that hands out its argument's memory and is not in VIEWS would be silently wrong."""
    views = {base: schema for base, schema in _schemas() if any(map(_is_read_alias, schema.returns))}
    assert len(views) > 70
    assert sorted(set(views) - aliases.VIEWS) == []
    others = [base for base, schema in views.items()
              if [i for i, argument in enumerate(schema.arguments) if _is_read_alias(argument)] != [0]]  # fmt: skip
    assert others == [], "the memory is that of another argument than the first"


def test_what_hands_on_its_argument_without_saying_so_is_known() -> None:
    """Operators composed of others whose result, run once, is the memory of their argument."""
    torch = pytest.importorskip("torch")
    missing = []
    for base, schema in _schemas():
        if any(item.alias_info for item in (*schema.arguments, *schema.returns)) or base in aliases.VIEWS:
            continue
        x = torch.ones(2, 2)
        if _hands_on(getattr(getattr(torch.ops.aten, base), schema.overload_name or "default"), schema, x):
            missing.append(base)
    assert sorted(set(missing) - {"_foobar", "_test_string_default"}) == []  # torch's own tests


def _hands_on(operator: Any, schema: Any, x: Any) -> bool:
    """Whether a result has the memory of `x`, where x alone (or in a list) is enough to call the operator."""
    torch = pytest.importorskip("torch")
    first, *rest = schema.arguments or [None]
    if first is None or any(not item.has_default_value() for item in rest) or str(first.type) not in _FIRST:
        return False
    try:
        results = operator(_FIRST[str(first.type)](x))
    except Exception:  # not every operator takes such a tensor
        return False
    flat = results if isinstance(results, (tuple, list)) else (results,)
    mine = x.untyped_storage().data_ptr()
    return any(isinstance(y, torch.Tensor) and _memory(y) == mine for y in flat)


_FIRST: dict[str, Callable[[Any], Any]] = {"Tensor": lambda x: x, "List[Tensor]": lambda x: [x]}


def _memory(y: Any) -> int | None:
    try:
        return int(y.untyped_storage().data_ptr())
    except Exception:  # a sparse or opaque tensor has none
        return None


def test_what_writes_to_an_argument_says_so_by_its_name() -> None:
    """Operators that netglot maps and whose schema writes to an argument: all end with an underscore, but for these."""
    known = set(registry.ops("pytorch"))
    writing = {
        base
        for base, schema in _schemas()
        if f"aten.{base}.{schema.overload_name or 'default'}" in known
        and any(item.alias_info and item.alias_info.is_write for item in schema.arguments)
    }
    assert {base for base in writing if not base.endswith("_")} <= STATISTICS


# They write running statistics in training, which their mappings refuse.
STATISTICS = {"_native_batch_norm_legit", "_batch_norm_with_update", "rrelu_with_noise"}
