"""Graphs for tests: structural equality, and hypothesis strategies that build random valid graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from netglot.errors import Origin
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import is_static

# -------------------------------------------------------------------- equality


def equal(a: Graph, b: Graph) -> bool:
    """Whether both hold the same names, types, layouts, data, operators, attributes and origins."""
    return not list(differences(a, b))


def differences(a: Graph, b: Graph) -> Iterator[str]:
    """Names are unique in a graph, so what each name stands for is the whole structure."""
    for what in ("name", "inputs", "outputs"):
        if _names(getattr(a, what)) != _names(getattr(b, what)):
            yield f"{what}: {_names(getattr(a, what))} and {_names(getattr(b, what))}"
    values, others = ({value.name: value for value in graph.values()} for graph in (a, b))
    nodes, twins = ({_names(node.outputs): node for node in graph.nodes()} for graph in (a, b))
    for left, right, same in ((values, others, _same_value), (nodes, twins, _same_node)):
        yield from (f"only one has {key}" for key in left.keys() ^ right.keys())
        both = [(left[key], right[key]) for key in left.keys() & right.keys()]
        yield from (f"{one} and {other}" for one, other in both if not same(one, other))


def _names(values: Any) -> Any:
    return values if isinstance(values, str) else tuple(None if value is None else value.name for value in values)


def _same_value(a: Value, b: Value) -> bool:
    return (a.dtype, a.shape, a.layout) == (b.dtype, b.shape, b.layout) and _same(a.data, b.data)


def _same_node(a: Node, b: Node) -> bool:
    same = (a.op, a.domain, a.name, a.origin, _names(a.inputs)) == (b.op, b.domain, b.name, b.origin, _names(b.inputs))
    names = a.attributes.keys()
    return same and names == b.attributes.keys() and all(_same(a.attributes[k], b.attributes[k]) for k in names)


def _same(a: Any, b: Any) -> bool:
    """Bit for bit, and of the same type: 1 is not 1.0."""
    if isinstance(a, Graph):
        return isinstance(b, Graph) and equal(a, b)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and (a.tolist() == b.tolist() or a.tobytes() == b.tobytes())
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


# --------------------------------------------------------------- random graphs

FLOAT = np.dtype(np.float32)


@dataclass
class Draft:
    """A graph while it is drawn: `pool` holds the float32 values that the next operator may read."""

    draw: Callable[[Any], Any]
    rng: np.random.Generator
    g: Builder = field(default_factory=lambda: Builder(Graph("random")))
    pool: list[Value] = field(default_factory=list)

    def pick(self, rank: int | None = None) -> Value | None:
        """A value, mostly one of the last, so that chains grow."""
        fit = [value for value in self.pool if rank is None or value.rank == rank]
        return self.draw(st.sampled_from(fit[-3:] + fit)) if fit else None

    def pick_as(self, shape: tuple[int, ...]) -> Value:
        return self.draw(st.sampled_from([value for value in self.pool if value.shape == shape]))

    def one(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def weights(self, *shape: int, low: float = -1.0) -> Value:
        """A constant; sometimes one that is in use already."""
        shared = [value for value in self.g.graph.constants() if value.shape == shape and value.dtype == FLOAT]
        if shared and low < 0 and self.one(True, False, False):
            return shared[0]
        return self.g.constant(self.rng.uniform(low, 1.5, shape).astype(np.float32))


def _unary(d: Draft, x: Value) -> Any:
    return d.g.op(d.one("Relu", "Sigmoid", "Tanh", "Identity", "LeakyRelu", "Abs", "Neg", "Softplus"), [x])


def _affine(d: Draft, x: Value) -> Any:
    """By a scalar, a channel, or a whole constant, on either side."""
    shapes = [(), (1,), (1,) * x.rank, x.sizes, *([(x.sizes[1], *(1,) * (x.rank - 2))] if x.rank > 1 else [])]
    op = d.one("Add", "Sub", "Mul", "Div")
    c = d.weights(*d.one(*shapes), low=0.5 if op == "Div" else -1.0)
    return d.g.op(op, [c, x] if d.one(True, False) and op != "Div" else [x, c])


def _neutral(d: Draft, x: Value) -> Any:
    op, c = d.one(("Add", 0.0), ("Sub", 0.0), ("Mul", 1.0), ("Div", 1.0))
    return d.g.op(op, [x, np.full(d.one((), (1,)), c, np.float32)])


def _binary(d: Draft, x: Value) -> Any:
    return d.g.op(d.one("Add", "Sub", "Max", "Min"), [x, d.pick_as(x.sizes)])


def _twice(d: Draft, x: Value) -> Any:
    return d.g.Add(x, x) if d.one(True, False) else d.g.Mul(x, d.g.Sigmoid(x))


def _conv(d: Draft, x: Value) -> Any:
    _, c, *sizes = x.sizes
    group, pad = d.one(1, c), d.one(0, 0, 1)
    kernel = [d.one(1, min(2, size)) for size in sizes]
    out = group * d.one(1, 2)
    w = d.weights(out, c // group, *kernel)
    return d.g.Conv(x, w, d.one(None, d.weights(out)), group=group, kernel_shape=kernel, pads=(pad,) * 4)


def _conv_transpose(d: Draft, x: Value) -> Any:
    c = x.sizes[1]
    group = d.one(1, c)
    w, b = d.weights(c, 2, 2, 2), d.one(None, d.weights(2 * group))
    return d.g.ConvTranspose(x, w, b, group=group, kernel_shape=(2, 2), strides=(d.one(1, 2),) * 2)


def _batch_norm(d: Draft, x: Value) -> Any:
    c = x.sizes[1]
    gamma, beta, mean, var = d.weights(c), d.weights(c), d.weights(c), d.weights(c, low=0.1)
    return d.g.BatchNormalization(x, gamma, beta, mean, var, epsilon=d.one(1e-5, 1e-3))


def _pool(d: Draft, x: Value) -> Any:
    return d.g.op(d.one("MaxPool", "AveragePool"), [x], kernel_shape=[min(2, size) for size in x.sizes[2:]])


def _gemm(d: Draft, x: Value) -> Any:
    rows, columns = x.sizes
    transposed, b = d.one(0, 1), d.one(None, (3,), (1, 3), (), (rows, 3))
    w = d.weights(*((3, columns) if transposed else (columns, 3)))
    bias = None if b is None else d.weights(*b)
    return d.g.Gemm(x, w, bias, transB=transposed, alpha=d.one(None, 0.5), beta=d.one(None, 2.0))


def _matmul(d: Draft, x: Value) -> Any:
    return d.g.MatMul(x, d.weights(x.sizes[-1], 2))


def _transpose(d: Draft, x: Value) -> Any:
    return d.g.Transpose(x, perm=d.draw(st.permutations(range(x.rank))))


def _reshape(d: Draft, x: Value) -> Any:
    flat, back = (0, -1), (x.sizes[0], 1, 1, -1)
    return d.g.Flatten(x) if d.one(True, False) else d.g.Reshape(x, list(d.one(flat, back)))


def _reshape_as(d: Draft, x: Value) -> Any:
    """Reshape to a computed shape, as exporters write it."""
    rows = d.g.Gather(d.g.Shape(x), [0])
    return d.g.Reshape(x, d.g.Concat(rows, [-1], axis=0))


def _axes(d: Draft, x: Value) -> Any:
    return d.g.Squeeze(d.g.Unsqueeze(x, [1]), [1]) if d.one(True, False) or x.rank > 3 else d.g.Unsqueeze(x, [x.rank])


def _concat(d: Draft, x: Value) -> Any:
    return d.g.Concat(x, d.pick_as(x.sizes), axis=d.one(*range(x.rank)))


def _split(d: Draft, x: Value) -> Any:
    axis = int(np.argmax(x.sizes))
    size = x.sizes[axis]
    return d.g.Split(x, [1, size - 1], axis=axis, outputs=2) if size > 1 else d.g.Relu(x)


def _slice(d: Draft, x: Value) -> Any:
    return d.g.Slice(x, [d.one(0, 0, -1)], [2**31], [x.rank - 1])


def _cast(d: Draft, x: Value) -> Any:
    """Not the bare Cast: ONNX Runtime 1.31 drops one of two, even where the branch of an If still reads it."""
    between = d.one(1, 11, 6)  # float32, float64 and int32, which loses
    return d.g.Abs(d.g.Cast(d.g.Cast(x, to=between), to=1))


def _clip(d: Draft, x: Value) -> Any:
    low, high = d.one(None, np.float32(0), np.float32(-0.5)), d.one(None, np.float32(6), np.float32(0.5))
    return d.g.Clip(d.one(x, d.g.Relu(x)), *(None if b is None else d.g.constant(b) for b in (low, high)))


def _constant_expression(d: Draft, x: Value) -> Any:
    return d.g.Add(x, d.g.Mul(d.weights(), d.g.Exp(d.weights())))


def _if(d: Draft, x: Value) -> Any:
    """Both branches read x from outside; one of them may yield it as it is, or through an Identity."""
    branches = [_branch(x, d.one("Relu", "Neg", "Identity", "", "dead"), i) for i in range(2)]
    condition = d.g.Greater(d.g.ReduceMax(x, keepdims=0), np.float32(0))
    return d.g.If(condition, then_branch=branches[0], else_branch=branches[1])


def _branch(x: Value, op: str, index: int) -> Graph:
    g = Builder(Graph(f"branch{index}"))
    if op == "dead":
        g.op("Abs", [x], name=f"branch{index}/unread")
    live = op not in ("", "dead")
    g.graph.outputs = [g.op(op, [x], name=f"branch{index}/y") if live else x]
    return g.graph


_ANY = [_unary, _affine, _affine, _neutral, _binary, _twice, _transpose, _reshape, _reshape_as, _axes, _concat, _split,
        _slice, _cast, _clip, _constant_expression, _if]  # fmt: skip
_IMAGE = [_conv, _conv, _conv_transpose, _batch_norm, _batch_norm, _pool, _affine, _affine]
_MATRIX = [_gemm, _gemm, _batch_norm, _affine, _affine]


def _step(d: Draft) -> None:
    x = d.pick()
    assert x is not None
    families = _ANY + (_IMAGE * 2 if x.rank == 4 else _MATRIX * 3 if x.rank == 2 else [_matmul])
    d.g.origin = d.one(Origin(), Origin("net.prototxt", "a layer", 7), Origin("dir/net x.prototxt", 'l\n"1"'))
    made = d.one(*families)(d, x)
    results = made if isinstance(made, tuple) else (made,)
    d.pool += [y for y in results if y.dtype == FLOAT and is_static(y.shape) and np.prod(y.sizes) < 2000]


@st.composite
def graphs(draw: Any, max_steps: int = 10) -> Graph:
    """A valid graph that ONNX Runtime runs, with one to three inputs and outputs."""
    d = Draft(draw, np.random.default_rng(draw(st.integers(0, 2**16))))
    for i in range(draw(st.integers(1, 2))):
        shape = draw(st.sampled_from([(2, 3, 4, 5), (1, 2, 3, 3), (2, 6), (3,)]))
        d.pool.append(d.g.graph.add_input(f"input {i}", FLOAT, shape))
    for _ in range(draw(st.integers(1, max_steps))):
        _step(d)
    made = [value for value in d.pool if value not in d.g.graph.inputs] or [d.g.Relu(d.pool[0])]
    others = draw(st.lists(st.sampled_from(made), max_size=2, unique_by=id))  # may be read by other nodes too
    d.g.graph.outputs = list(dict.fromkeys([made[-1], *others]))
    return d.g.graph


def feed(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Random values for the inputs."""
    rng = np.random.default_rng(seed)
    return {value.name: rng.uniform(-2, 2, value.sizes).astype(value.dtype) for value in graph.inputs}
