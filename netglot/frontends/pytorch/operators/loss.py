"""Losses, which networks have that were exported with their training step.

Semantics: ATen's Loss.cpp, LossNLL.cpp and LossMulti*.cpp.
"""

from __future__ import annotations

import math

import numpy as np

from netglot.frontends.pytorch.builder import Number, Size, TorchBuilder, aten
from netglot.frontends.pytorch.operators.linalg import dtype_of, norm_of
from netglot.ir.graph import Value

NONE, MEAN, SUM = range(3)


def reduced(g: TorchBuilder, x: Value, reduction: int) -> Value:
    """`x` itself, its mean or its sum."""
    if reduction == NONE or (x.rank == 0 and x.shape is not None):
        return x
    y: Value = g.op("ReduceMean" if reduction == MEAN else "ReduceSum", [x, list(range(x.rank))], keepdims=0)
    return y


def of(g: TorchBuilder, x: Value, number: float) -> Value:
    """A number in the type of `x`."""
    return g.constant(number, x.dtype)


# ------------------------------------------------------------------- differences


@aten("mse_loss")
def mse_loss(g: TorchBuilder, x: Value, target: Value, *, reduction: int = MEAN) -> Value:
    gap = g.Sub(*g.promoted(x, target))
    return reduced(g, g.Mul(gap, gap), reduction)


@aten("l1_loss")
def l1_loss(g: TorchBuilder, x: Value, target: Value, *, reduction: int = MEAN) -> Value:
    return reduced(g, g.Abs(g.Sub(*g.promoted(x, target))), reduction)


@aten("smooth_l1_loss")
def smooth_l1_loss(
    g: TorchBuilder, x: Value, target: Value, *, reduction: int = MEAN, beta: float = 1.0
) -> Value:  # fmt: skip
    if beta == 0:
        return l1_loss(g, x, target, reduction=reduction)
    gap = g.Abs(g.Sub(*g.promoted(x, target)))
    near, far = g.Mul(g.Mul(gap, gap), 0.5 / beta), g.Sub(gap, 0.5 * beta)
    return reduced(g, g.Where(g.Less(gap, beta), near, far), reduction)


@aten("huber_loss")
def huber_loss(g: TorchBuilder, x: Value, target: Value, *, reduction: int = MEAN, delta: float = 1.0) -> Value:
    gap = g.Abs(g.Sub(*g.promoted(x, target)))
    near, far = g.Mul(g.Mul(gap, gap), 0.5), g.Mul(g.Sub(gap, 0.5 * delta), delta)
    return reduced(g, g.Where(g.LessOrEqual(gap, delta), near, far), reduction)


# ---------------------------------------------------------------- probabilities


@aten("binary_cross_entropy")
def binary_cross_entropy(
    g: TorchBuilder, x: Value, target: Value, weight: Value | None = None, *, reduction: int = MEAN
) -> Value:
    """No logarithm counts for less than -100."""
    log, log_of_rest = (g.Max(g.Log(item), -100.0) for item in (x, g.Sub(of(g, x, 1.0), x)))
    loss = g.Sub(g.Mul(g.Sub(target, 1.0), log_of_rest), g.Mul(target, log))
    return reduced(g, loss if weight is None else g.Mul(loss, weight), reduction)


@aten("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    g: TorchBuilder, x: Value, target: Value, weight: Value | None = None, pos_weight: Value | None = None, *,
    reduction: int = MEAN,
) -> Value:  # fmt: skip
    x, target = g.promoted(x, target)
    log = g.Softplus(g.Neg(x))  # -log(sigmoid(x))
    if pos_weight is not None:
        log = g.Mul(log, g.Add(g.Mul(target, g.Sub(pos_weight, 1.0)), 1.0))
    loss = g.Add(g.Mul(g.Sub(of(g, x, 1.0), target), x), log)
    return reduced(g, loss if weight is None else g.Mul(loss, weight), reduction)


@aten("kl_div")
def kl_div(
    g: TorchBuilder, x: Value, target: Value, *, reduction: int = MEAN, log_target: bool = False
) -> Value:  # fmt: skip
    """`x` are logarithms; 0 log 0 is 0."""
    x, target = g.promoted(x, target)
    if log_target:
        return reduced(g, g.Mul(g.Exp(target), g.Sub(target, x)), reduction)
    own = g.Where(g.Equal(target, 0.0), of(g, x, 0.0), g.Mul(target, g.Log(target)))
    return reduced(g, g.Sub(own, g.Mul(target, x)), reduction)


@aten("poisson_nll_loss")
def poisson_nll_loss(
    g: TorchBuilder, x: Value, target: Value, *, log_input: bool, full: bool, eps: float, reduction: int
) -> Value:
    x, target = g.promoted(x, target)
    rate, log = (g.Exp(x), x) if log_input else (x, g.Log(g.Add(x, eps)))
    loss = g.Sub(rate, g.Mul(target, log))
    if full:  # Stirling's approximation of the logarithm of target!
        more = g.Sub(g.Mul(target, g.Log(target)), target)
        more = g.Add(more, g.Mul(g.Log(g.Mul(target, 2 * math.pi)), 0.5))
        loss = g.Add(loss, g.Where(g.Greater(target, 1.0), more, of(g, x, 0.0)))
    return reduced(g, loss, reduction)


# ------------------------------------------------------------------------ classes


def nll(
    g: TorchBuilder, x: Value, target: Value, weight: Value | None, reduction: int, ignore_index: Size
) -> tuple[Value, Value]:
    """(loss, total weight) of log-probabilities [N, C, ...] or [C] and classes [N, ...] or a scalar."""
    axis = 1 if x.rank > 1 else 0
    if x.rank == 1 and target.rank == 1:  # one sample and a list of one class
        target = g.Squeeze(target, [0])
    index = g.cast(target, np.int64)
    counts = g.Not(g.Equal(index, g.number(ignore_index, np.int64)))
    index = g.Where(counts, index, g.constant(0, np.int64))
    zero = of(g, x, 0.0)
    weights = g.Where(counts, of(g, x, 1.0) if weight is None else g.Gather(weight, index, axis=0), zero)
    picked = g.Squeeze(g.GatherElements(x, g.Unsqueeze(index, [axis]), axis=axis), [axis])
    losses = g.Where(counts, g.Mul(g.Neg(picked), weights), zero)
    if reduction == NONE:
        return losses, zero
    total = reduced(g, weights, SUM)
    loss = reduced(g, losses, SUM)
    return (g.Div(loss, total) if reduction == MEAN else loss), total


@aten("nll_loss", "nll_loss2d", "nll_loss_nd")
def nll_loss(
    g: TorchBuilder, x: Value, target: Value, weight: Value | None = None, *, reduction: int = MEAN,
    ignore_index: Size = -100,
) -> Value:  # fmt: skip
    return nll(g, x, target, weight, reduction, ignore_index)[0]


@aten("nll_loss_forward", "nll_loss2d_forward")
def nll_loss_forward(
    g: TorchBuilder, x: Value, target: Value, weight: Value | None, *, reduction: int, ignore_index: Size
) -> tuple[Value, Value]:
    return nll(g, x, target, weight, reduction, ignore_index)


@aten("cross_entropy_loss")
def cross_entropy_loss(
    g: TorchBuilder, x: Value, target: Value, weight: Value | None = None, *, reduction: int = MEAN,
    ignore_index: Size = -100, label_smoothing: float = 0.0,
) -> Value:  # fmt: skip
    """Of logits [N, C, ...] or [C]; the target is classes, or probabilities of the same shape."""
    axis = 1 if x.rank > 1 else 0
    log = g.LogSoftmax(x, axis=axis)
    if target.rank == x.rank and dtype_of(target).kind == "f":
        return of_probabilities(g, log, target, weight, reduction, label_smoothing)
    loss, _ = nll(g, log, target, weight, reduction, ignore_index)
    if not label_smoothing:
        return loss
    smooth = smoothed(g, log, target, weight, reduction, ignore_index)
    classes = g.known(g.size(x, axis), "the number of classes")
    y: Value = g.Add(g.Mul(loss, 1 - label_smoothing), g.Mul(smooth, label_smoothing / classes))
    return y


def along_classes(g: TorchBuilder, weight: Value, log: Value) -> Value:
    """Weights [C] to go with [N, C, ...]."""
    y: Value = g.Unsqueeze(weight, list(range(1, log.rank - 1))) if log.rank > 2 else weight
    return y


def of_probabilities(
    g: TorchBuilder, log: Value, target: Value, weight: Value | None, reduction: int, smoothing: float
) -> Value:
    axis = 1 if log.rank > 1 else 0
    if smoothing:
        classes = g.known(g.size(log, axis), "the number of classes")
        target = g.Add(g.Mul(target, 1 - smoothing), smoothing / classes)
    terms = g.Mul(log, target)
    terms = terms if weight is None else g.Mul(terms, along_classes(g, weight, log))
    return reduced(g, g.Neg(g.ReduceSum(terms, [axis], keepdims=0)), reduction)


def smoothed(
    g: TorchBuilder, log: Value, target: Value, weight: Value | None, reduction: int, ignore_index: Size
) -> Value:
    """The loss of a target that is spread over all classes; samples that are ignored count nothing."""
    axis = 1 if log.rank > 1 else 0
    terms = log if weight is None else g.Mul(log, along_classes(g, weight, log))
    counts = g.Not(g.Equal(target, g.number(ignore_index, target.dtype)))
    losses = g.Where(counts, g.Neg(g.ReduceSum(terms, [axis], keepdims=0)), of(g, log, 0.0))
    if reduction != MEAN:
        return reduced(g, losses, reduction)
    index = g.Where(counts, target, g.constant(0, target.dtype))
    weights = of(g, log, 1.0) if weight is None else g.Gather(weight, index, axis=0)
    total = reduced(g, g.Where(counts, weights, of(g, log, 0.0)), SUM)
    y: Value = g.Div(reduced(g, losses, SUM), total)
    return y


# ------------------------------------------------------------------------ margins


@aten("hinge_embedding_loss")
def hinge_embedding_loss(
    g: TorchBuilder, x: Value, target: Value, *, margin: float = 1.0, reduction: int = MEAN
) -> Value:  # fmt: skip
    zero = of(g, x, 0.0)
    below = g.Where(equals(g, target, 1), zero, g.Relu(g.Sub(of(g, x, margin), x)))
    return reduced(g, g.Add(below, g.Where(equals(g, target, -1), zero, x)), reduction)


def equals(g: TorchBuilder, x: Value, number: int) -> Value:
    y: Value = g.Equal(x, g.constant(number, x.dtype))
    return y


@aten("cosine_embedding_loss")
def cosine_embedding_loss(
    g: TorchBuilder, input1: Value, input2: Value, target: Value, *, margin: float = 0.0, reduction: int = MEAN
) -> Value:
    a, b = g.promoted(input1, input2)
    norms = [g.Add(g.ReduceSumSquare(x, [target.rank], keepdims=0), 1e-12) for x in (a, b)]
    cosine = g.Div(g.ReduceSum(g.Mul(a, b), [target.rank], keepdims=0), g.Sqrt(g.Mul(*norms)))
    zero = of(g, cosine, 0.0)
    alike = g.Where(equals(g, target, 1), g.Sub(of(g, cosine, 1.0), cosine), zero)
    unlike = g.Where(equals(g, target, -1), g.Relu(g.Sub(cosine, margin)), zero)
    return reduced(g, g.Add(alike, unlike), reduction)


@aten("margin_ranking_loss")
def margin_ranking_loss(
    g: TorchBuilder, input1: Value, input2: Value, target: Value, *, margin: float = 0.0, reduction: int = MEAN
) -> Value:
    a, b, target = g.promoted(input1, input2, target)
    return reduced(g, g.Relu(g.Add(g.Mul(target, g.Sub(b, a)), margin)), reduction)


@aten("triplet_margin_loss")
def triplet_margin_loss(
    g: TorchBuilder, anchor: Value, positive: Value, negative: Value, *, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: int = MEAN,
) -> Value:  # fmt: skip
    def distance(a: Value, b: Value) -> Value:
        return norm_of(g, g.Add(g.Sub(a, b), eps), p, [-1], keepdims=False)

    near, far = distance(anchor, positive), distance(anchor, negative)
    far = g.Min(far, distance(positive, negative)) if swap else far
    return reduced(g, g.Relu(g.Add(g.Sub(near, far), margin)), reduction)


@aten("soft_margin_loss")
def soft_margin_loss(g: TorchBuilder, x: Value, target: Value, *, reduction: int = MEAN) -> Value:
    x, target = g.promoted(x, target)
    return reduced(g, g.Log(g.Add(g.Exp(g.Neg(g.Mul(target, x))), 1.0)), reduction)


@aten("multi_margin_loss", order="self target p margin weight reduction")
def multi_margin_loss(
    g: TorchBuilder, x: Value, target: Value, weight: Value | None = None, *, p: Number = 1, margin: Number = 1,
    reduction: int = MEAN,
) -> Value:  # fmt: skip
    """For logits [N, C] and classes [N], or one sample [C]: how far other classes come within the margin."""
    index = g.Reshape(target, [-1]) if x.rank > 1 else g.Reshape(target, [1])
    rows = x if x.rank > 1 else g.Unsqueeze(x, [0])
    column = g.Unsqueeze(index, [1])
    short = g.Relu(g.Add(g.Sub(rows, g.GatherElements(rows, column, axis=1)), float(margin)))
    short = g.Mul(short, short) if p == 2 else short
    if weight is not None:
        short = g.Mul(short, g.Unsqueeze(g.Gather(weight, index, axis=0), [1]))
    classes = g.Range(0, g.number(g.size(rows, 1), np.int64), 1)
    others = g.Where(g.Equal(column, classes), of(g, x, 0.0), short)
    losses = g.ReduceMean(others, [1], keepdims=0)
    return reduced(g, losses if x.rank > 1 else g.Squeeze(losses, [0]), reduction)
