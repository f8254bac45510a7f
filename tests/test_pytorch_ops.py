"""Every row of the ATen table against torch itself: on ONNX Runtime, and on the targets that the row names."""

from __future__ import annotations

import inspect
from keyword import iskeyword
from pathlib import Path

import numpy as np
import pytest

import netglot.frontends.pytorch  # noqa: F401  (registers)
from netglot.frontends.pytorch.reader import ASSERTIONS, to_graph
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.close import assert_equal
from tests.pytorch_ops.table import Built, Row, all_rows, build
from tests.targets import TARGETS


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_row(row: Row, tmp_path: Path) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    feed = row.feed()
    built = build(row, feed)
    assert_runs(built, feed, row)
    for target in row.targets:
        found = TARGETS[target](to_graph(built.program), feed, tmp_path)
        for (name, _), wanted in zip(built.program.outputs, built.expected, strict=True):
            assert_equal(found[name], wanted, row.rtol)
    if row.dynamic:
        assert_runs(build(row, feed, dynamic=True), feed, row)


def assert_runs(built: Built, feed: dict[str, np.ndarray], row: Row) -> None:
    graph = to_graph(built.program)
    graph.check()
    assert len(graph.outputs) == len(built.expected)
    found = OnnxRuntime(graph).run(feed)
    for value, wanted in zip(graph.outputs, built.expected, strict=True):
        assert_equal(found[value.name], wanted, row.rtol)


# Registered names that no single call on tensors can say; tested by whole programs in the file that is named.
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        (
            "aten._native_multi_head_attention.default", "aten._scaled_dot_product_cudnn_attention.default",
            "aten._scaled_dot_product_efficient_attention.default", "aten._scaled_dot_product_flash_attention.default",
        ),
        "test_pytorch_attention.py",
    ),
    "torchvision.deform_conv2d.default": "test_pytorch_detection.py",
    "torchvision.nms.default": "test_pytorch_detection.py",
    "torchvision.roi_align.default": "test_pytorch_detection.py",
    **dict.fromkeys(
        (
            "_operator.add", "_operator.and_", "_operator.eq", "_operator.floordiv", "_operator.ge", "_operator.gt",
            "_operator.le", "_operator.lshift", "_operator.lt", "_operator.mod", "_operator.mul", "_operator.ne",
            "_operator.neg", "_operator.or_", "_operator.pow", "_operator.rshift", "_operator.sub",
            "_operator.truediv", "math.trunc", "torch._sym_sqrt", "torch.sym_float", "torch.sym_ite",
            "torch.sym_max", "torch.sym_min", "torch.sym_not",
        ),
        "test_pytorch_sizes.py",
    ),
    **dict.fromkeys(
        (
            "aten.bernoulli.Tensor", "aten.bernoulli.default", "aten.bernoulli.float", "aten.bernoulli.p",
            "aten.exponential.default", "aten.multinomial.default", "aten.normal.Tensor_Tensor",
            "aten.normal.Tensor_float", "aten.normal.default", "aten.normal.float_Tensor", "aten.normal.float_float",
            "aten.normal_functional.default", "aten.rand.default", "aten.rand_like.default", "aten.randint.default",
            "aten.randint.low", "aten.randint_like.default", "aten.randint_like.low_dtype", "aten.randn.default",
            "aten.randn_like.default", "aten.randperm.default", "aten.uniform.default",
        ),
        "test_pytorch_random.py",
    ),
    **dict.fromkeys(
        (
            "higher_order.cond", "higher_order.while_loop", "higher_order.map_impl", "higher_order.scan",
            "higher_order.wrap_with_set_grad_enabled", "higher_order.hints_wrapper", "higher_order.strict_mode",
            "higher_order.wrap_with_autocast",
        ),
        "test_pytorch_control.py",
    ),
}  # fmt: skip


def test_every_operator_has_a_row() -> None:
    tested = {row.target for row in all_rows()} | set(ELSEWHERE) | ASSERTIONS
    assert sorted(set(registry.ops("pytorch")) - tested) == []


def _aten() -> list[str]:
    return [name for name in registry.ops("pytorch") if name.startswith(("aten.", "quantized_decomposed."))]


_PLACE = {"device", "layout", "pin_memory", "non_blocking", "memory_format"}


@pytest.mark.parametrize("target", _aten())
def test_the_signature_is_that_of_torch(target: str) -> None:
    """Parameters have the names of torch's schema, and what may be left out has the same default."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.ao.quantization.fx._decomposed")  # registers quantized_decomposed

    namespace, name, overload_name = target.split(".")
    packets = [getattr(getattr(torch.ops, namespace), twin, None) for twin in (name, f"{name}_")]
    overload = next(getattr(packet, overload_name) for packet in packets if overload_name in packet.overloads())
    operator = registry.find("pytorch", target)
    assert operator is not None
    ours = list(inspect.signature(operator.function, eval_str=True).parameters.values())[1:]
    by_name = {parameter.name: parameter for parameter in ours}
    for i, argument in enumerate(overload._schema.arguments):
        if argument.name in _PLACE and argument.name not in by_name:
            continue
        name = f"{argument.name}_" if iskeyword(argument.name) else argument.name
        parameter = by_name.pop(name, ours[0] if i == 0 else None)
        assert parameter is not None, f"{argument.name} is missing"
        if argument.has_default_value():
            assert parameter.default is not parameter.empty, f"{argument.name} may be left out"
        if isinstance(argument.default_value, (bool, int, float, str)) and not isinstance(parameter.default, np.dtype):
            same = parameter.default == argument.default_value or argument.name == "reduction"
            assert same, f"{argument.name} is {argument.default_value} where it is left out"
