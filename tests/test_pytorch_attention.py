"""Attention where one tensor is the query, the key and the value, and the kernels of GPUs, by hand-made programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.frontends.pytorch.arguments import Ref
from netglot.frontends.pytorch.program import Body, Call, Input, Meta, Program
from netglot.frontends.pytorch.reader import to_graph
from netglot.passes.pipeline import COMMON, run
from netglot.runtimes.onnxruntime import OnnxRuntime

_rng = np.random.default_rng(0)


def _random(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


def _program(
    target: str, feed: dict[str, np.ndarray], outputs: tuple[str, ...] = ("out",), **arguments: Any
) -> Program:
    """One call; an array among the arguments is a weight, "=x" the input x."""
    weights = {name: value for name, value in arguments.items() if isinstance(value, np.ndarray)}
    given = {name: Ref(value[1:]) if isinstance(value, str) else value for name, value in arguments.items()}
    call = Call(target, tuple((n, Ref(n) if n in weights else v) for n, v in given.items()), outputs)
    inputs = [Input("user", name) for name in feed] + [Input("weight", name, name) for name in weights]
    metas = {name: Meta(array.dtype, array.shape) for name, array in feed.items()}
    body = Body(tuple(Ref(item.name) for item in inputs), (Ref(outputs[0]),), (call,), metas)
    named = tuple((name, Ref(name)) for name in outputs if name)
    return Program(body, tuple(inputs), named, weights, file="program")


def _run(program: Program, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    graph = to_graph(program)
    found = OnnxRuntime(graph).run(feed)
    return [found[value.name] for value in graph.outputs]


def _assert_close(actual: np.ndarray, wanted: np.ndarray) -> None:
    assert actual.shape == wanted.shape
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
    assert np.nanmax(np.abs(actual - wanted)) <= 1e-5 * np.nanmax(np.abs(wanted))


MASKS: dict[str, tuple[np.ndarray | None, int | None]] = {
    "none": (None, None),
    "between": (np.triu(np.ones((5, 5), bool), 1), 0),
    "keys": (np.array([[0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], bool), 1),
    "whole": (_rng.random((2, 4, 5, 5)) < 0.3, 2),
}


@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("kind", MASKS)
def test_fused_attention_of_a_sequence_to_itself(kind: str, averaged: bool) -> None:
    torch = pytest.importorskip("torch")
    mask, mask_type = MASKS[kind]
    x, weights = _random(2, 5, 8), [_random(24, 8), _random(24), _random(8, 8), _random(8)]
    tensors = [torch.from_numpy(item) for item in weights]
    of_torch = torch.from_numpy(x)
    hidden = None if mask is None else torch.from_numpy(mask)
    wanted = torch.ops.aten._native_multi_head_attention(
        of_torch, of_torch, of_torch, 8, 4, *tensors, hidden, True, averaged, mask_type
    )
    arguments = dict(zip(("qkv_weight", "qkv_bias", "proj_weight", "proj_bias"), weights, strict=True))
    program = _program(
        "aten._native_multi_head_attention.default", {"x": x}, ("out", "weights"), query="=x", key="=x", value="=x",
        embed_dim=8, num_head=4, **arguments, mask=mask, need_weights=True, average_attn_weights=averaged,
        mask_type=mask_type,
    )  # fmt: skip
    for actual, expected in zip(_run(program, {"x": x}), wanted, strict=True):
        _assert_close(actual, expected.numpy())


KERNELS: dict[str, tuple[int, dict[str, Any]]] = {
    "_scaled_dot_product_efficient_attention": (4, {"attn_bias": None, "compute_log_sumexp": False}),
    "_scaled_dot_product_cudnn_attention": (9, {"attn_bias": None, "compute_log_sumexp": False}),
    "_scaled_dot_product_flash_attention": (9, {}),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_of_gpus_compute_attention(kernel: str) -> None:
    torch = pytest.importorskip("torch")
    feed = {"q": _random(2, 3, 5, 4), "k": _random(2, 3, 7, 4), "v": _random(2, 3, 7, 4)}
    count, arguments = KERNELS[kernel]
    outputs = ("out", *[""] * (count - 1))
    program = _program(
        f"aten.{kernel}.default",
        feed,
        outputs,
        query="=q",
        key="=k",
        value="=v",
        is_causal=True,
        scale=0.3,
        **arguments,
    )
    tensors = [torch.from_numpy(item) for item in feed.values()]
    wanted = torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=True, scale=0.3)
    _assert_close(_run(program, feed)[0], wanted.numpy())


def test_what_is_for_gradients_only_can_not_be_read() -> None:
    feed = {name: _random(2, 3, 5, 4) for name in "qkv"}
    program = _program(
        "aten._scaled_dot_product_efficient_attention.default", feed, ("out", "sums", "", ""), query="=q", key="=k",
        value="=v", attn_bias=None, compute_log_sumexp=True,
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match="'sums' is a result for training only"):
        to_graph(program)


def test_dropout_is_refused() -> None:
    feed = {name: _random(2, 3, 5, 4) for name in "qkv"}
    program = _program(
        "aten.scaled_dot_product_attention.default", feed, query="=q", key="=k", value="=v", dropout_p=0.1
    )
    with pytest.raises(UnsupportedError, match="with dropout"):
        to_graph(program)


def test_a_mask_beside_is_causal_is_refused() -> None:
    feed = {name: _random(2, 3, 5, 4) for name in "qkv"}
    program = _program(
        "aten.scaled_dot_product_attention.default", feed, query="=q", key="=k", value="=v",
        attn_mask=np.ones((5, 5), bool), is_causal=True,
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match="with a mask and is_causal"):
        to_graph(program)


def test_a_mask_that_the_passes_find_to_be_known_costs_one_addition() -> None:
    """Swin's and CoAtNet's masks are rows of a table: no row is closed, which is known once the table is read."""
    feed = {name: _random(2, 3, 4) for name in ("query", "key", "value")}
    table = _random(5, 3)
    program = _program("aten.scaled_dot_product_attention.default", feed, query="=query", key="=key", value="=value",
                       attn_mask="=mask")  # fmt: skip
    read = Call("aten.index.Tensor", (("self", Ref("table")), ("indices", [Ref("rows")])), ("mask",))
    weights = {"table": table, "rows": np.array([4, 0, 2])}
    inputs = (*program.inputs, *(Input("weight", name, name) for name in weights))
    body = Body((*program.body.inputs, *map(Ref, weights)), program.body.outputs, (read, *program.body.calls),
                program.body.metas)  # fmt: skip
    graph = run(to_graph(Program(body, inputs, program.outputs, weights, file="program")), COMMON)
    assert {"ReduceMax", "Equal", "Where"}.isdisjoint(node.op for node in graph.nodes())
    logits = feed["query"] @ feed["key"].swapaxes(1, 2) / 2 + table[[4, 0, 2]]
    exponents = np.exp(logits)
    wanted = exponents / exponents.sum(-1, keepdims=True) @ feed["value"]
    np.testing.assert_allclose(OnnxRuntime(graph).run(feed)["out"], wanted, rtol=1e-5, atol=1e-6)
