"""Which calls that work in place can be read as if they gave out a new tensor.

A program may hold `relu_`, `add_`, `copy_`: the tensor itself changes, and with it every view of the same memory. Where
nothing else that shares the memory is read afterwards, the result simply takes the tensor's name. Otherwise torch's
own functionalisation must rewrite the program first (see decompose.py).
"""

from __future__ import annotations

from collections import defaultdict

from netglot.frontends.pytorch.arguments import names
from netglot.frontends.pytorch.program import Body, Call

# Operators whose result may share the memory of their first argument.
_VIEWS = {
    "_reshape_alias", "adjoint", "alias", "as_strided", "broadcast_to", "chunk", "contiguous", "detach", "diagonal",
    "dropout", "alpha_dropout", "feature_dropout", "dropout2d", "expand", "expand_as", "feature_alpha_dropout",
    "flatten", "hsplit", "dsplit", "vsplit", "imag", "lift_fresh", "linalg_diagonal", "matrix_H", "mT", "mH",
    "moveaxis", "movedim", "narrow", "numpy_T", "permute", "positive", "pin_memory", "ravel", "real", "reshape",
    "reshape_as", "resolve_conj", "resolve_neg", "select", "slice", "split", "split_with_sizes", "squeeze", "swapaxes",
    "swapdims", "t", "tensor_split", "to", "transpose", "type_as", "unbind", "unflatten", "unfold", "unsafe_chunk",
    "unsqueeze", "view", "view_as", "view_as_complex", "view_as_real", "_to_cpu", "cpu", "float", "identity",
    "atleast_1d", "atleast_2d", "atleast_3d", "meshgrid", "broadcast_tensors", "conj", "_conj", "rrelu", "T",
}  # fmt: skip


def is_in_place(call: Call) -> bool:
    name = _name(call)
    return name.endswith("_") and not name.endswith("__")


def unsafe_mutations(body: Body) -> dict[int, str]:
    """The calls (by number) that change memory which is read by another name later, with that name."""
    if not any(is_in_place(call) for call in body.calls):
        return {}
    groups = _groups(body)
    made, last = {name: i for i, call in enumerate(body.calls) for name in call.outputs}, _last_reads(body)
    unsafe = {}
    for i, call in enumerate(body.calls):
        if not is_in_place(call) or not call.arguments:
            continue
        for target in names(call.arguments[0][1]):
            others = groups[target] - {target, *call.outputs}
            stale = (name for name in sorted(others) if made.get(name, -1) < i < last.get(name, -1))
            other = next(stale, None)  # what is made of the tensor later sees the change
            if other is not None:
                unsafe[i] = other
    return unsafe


def _groups(body: Body) -> dict[str, set[str]]:
    """For every name all names of the same memory. A call in place gives its tensor another name."""
    groups: dict[str, set[str]] = defaultdict(set)
    for call in body.calls:
        shares = _name(call) in _VIEWS or is_in_place(call)
        first = names(call.arguments[0][1]) if shares and call.arguments else []
        for name in (*call.outputs, *call.reads()):
            groups[name].add(name)
        joined = set().union(*(groups[name] for name in (*first, *call.outputs))) if first else set()
        for name in joined:
            groups[name] = joined
    return groups


def _last_reads(body: Body) -> dict[str, int]:
    last = {name: i for i, call in enumerate(body.calls) for name in call.reads()}
    return last | {name: len(body.calls) for name in names(list(body.outputs))}


def _name(call: Call) -> str:
    parts = call.target.split(".")
    return parts[1] if len(parts) > 1 else parts[0]
