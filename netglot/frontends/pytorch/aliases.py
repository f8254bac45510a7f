"""Which calls that work in place can be read as if they gave out a new tensor.

A program may hold `relu_`, `add_`, `copy_`: the tensor itself changes, and with it every view of the same memory. Where
nothing else that shares the memory is read afterwards, the result simply takes the tensor's name. Otherwise torch's
own functionalisation must rewrite the program first (see decompose.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set

from netglot.frontends.pytorch.arguments import BodyRef, names
from netglot.frontends.pytorch.program import Body, Call

# Operators whose result may share the memory of their first argument: those whose schema says so (a test compares),
# and those that hand their argument on, or a view of it, in some cases.
VIEWS: frozenset[str] = frozenset({
    "_autocast_to_full_precision", "_autocast_to_reduced_precision", "_cast_Byte", "_cast_Char", "_cast_Double",
    "_cast_Float", "_cast_Half", "_cast_Int", "_cast_Long", "_cast_Short", "_conj", "_fw_primal", "_indices",
    "_make_dual", "_neg_view", "_nested_get_values", "_nested_view_from_buffer", "_nested_view_from_jagged",
    "_pin_memory", "_reshape_alias", "_saturate_weight_to_fp16",
    "_sparse_broadcast_to", "_test_autograd_multiple_dispatch_view", "_to_cpu",
    "_unpack_dual", "_unsafe_view", "_values", "adjoint", "alias", "align_as", "align_to",
    "alpha_dropout", "as_strided", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "broadcast_to",
    "cartesian_prod", "ccol_indices", "chain_matmul", "channel_shuffle", "chunk", "coalesce", "col_indices", "conj",
    "conj_physical", "contiguous", "cpu", "crow_indices", "data", "dequantize", "detach", "diagonal", "dropout",
    "dsplit", "einsum", "expand", "expand_as", "feature_alpha_dropout", "feature_dropout", "flatten",
    "flatten_dense_tensors",
    "hsplit", "imag", "indices", "lift", "lift_fresh", "linalg_diagonal", "mH", "mT", "matrix_H",
    "meshgrid", "moveaxis", "movedim", "narrow", "native_channel_shuffle", "numpy_T", "permute", "pin_memory",
    "pixel_shuffle", "pixel_unshuffle", "positive", "ravel", "real", "refine_names", "rename", "reshape", "reshape_as",
    "resolve_conj", "resolve_neg", "row_indices", "rrelu", "select", "slice", "slice_inverse", "split",
    "split_with_sizes", "squeeze", "sum_to_size", "swapaxes", "swapdims", "t", "tensor_split", "to", "to_dense",
    "transpose", "type_as", "unbind", "unflatten", "unflatten_dense_tensors", "unfold", "unsafe_chunk", "unsafe_split",
    "unsafe_split_with_sizes", "unsqueeze", "values", "view", "view_as", "view_as_complex", "view_as_real", "vsplit",
})  # fmt: skip
# Those of them that make a new tensor of several.
_OF_ONE = {"cartesian_prod", "chain_matmul", "einsum"}
# Operators in place that give the tensor another shape, and change no element.
RESHAPING = {"detach_", "squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_", "unsqueeze_"}


def is_in_place(call: Call) -> bool:
    name = name_of(call)
    return name.endswith("_") and not name.endswith("__")


def changed_inputs(body: Body) -> list[str]:
    """The inputs of a body that it changes in place."""
    inputs = names(list(body.inputs))
    if not any(is_in_place(call) for call in body.calls):
        return []
    shared = groups(body)
    changed = {other for _, target in _targets(body) for other in shared[target]}
    return [name for name in inputs if name in changed]


def unsafe_mutations(body: Body, *, is_inner: bool = False) -> dict[int, str]:
    """The calls (by number) that change memory which is read by another name later, with that name.

    What goes into an inner body (a branch, a loop) is memory of the body around it, which is read there.
    """
    return {i: min(seen) for i, seen in seen_changes(body, VIEWS, is_inner=is_inner).items()}


def seen_changes(body: Body, views: Set[str], *, is_inner: bool) -> dict[int, set[str]]:
    """As unsafe_mutations, with all such names, where the operators in `views` alone share memory.

    A name that is made later is made of what was changed, or else of another name, which is read then.
    """
    if not any(is_in_place(call) for call in body.calls):
        return {}
    shared = groups(body, views)
    last = last_reads(body)
    made = {name: i for i, call in enumerate(body.calls) for name in call.outputs}
    outside = set(names(list(body.inputs))) if is_inner else set()
    unsafe: dict[int, set[str]] = defaultdict(set)
    for i, target in _targets(body):
        others = shared[target] - {target, *body.calls[i].outputs}
        unsafe[i] |= outside & shared[target] or {
            name for name in others if made.get(name, -1) < i < last.get(name, -1)
        }
    return {i: seen for i, seen in unsafe.items() if seen}


def _targets(body: Body) -> list[tuple[int, str]]:
    """The tensors whose elements calls change: the number of the call, and the name."""
    return [
        (i, name)
        for i, call in enumerate(body.calls)
        if is_in_place(call) and name_of(call) not in RESHAPING and call.arguments
        for name in names(call.arguments[0][1])
    ]


def groups(body: Body, views: Set[str] = VIEWS) -> dict[str, set[str]]:
    """For every name all names of the same memory. A call in place gives its tensor another name."""
    found: dict[str, set[str]] = defaultdict(set)
    for joined in map(set, body.shared):
        found.update((name, joined) for name in joined)
    for call in body.calls:
        for name in (*call.outputs, *call.reads()):
            found[name].add(name)
        sharing = [name for name in _sharing(call, views) if name]
        joined = set().union(*(found[name] for name in sharing))
        for name in joined:
            found[name] = joined
    for name in names([*body.inputs, *body.outputs]):
        found[name].add(name)
    return found


def _sharing(call: Call, views: Set[str]) -> list[str]:
    """The names of a call that may stand for the same memory; of one that runs a body, all."""
    if any(isinstance(value, BodyRef) for _, value in call.arguments):
        return [*call.reads(), *call.outputs]
    if name_of(call) in _OF_ONE and len(call.reads()) > 1:
        return []
    shares = name_of(call) in views or is_in_place(call)
    first = names(call.arguments[0][1]) if call.arguments else []  # einsum's is its equation
    return [*(first or call.reads()), *call.outputs] if shares else []


def last_reads(body: Body) -> dict[str, int]:
    last = {name: i for i, call in enumerate(body.calls) for name in call.reads()}
    return last | {name: len(body.calls) for name in names(list(body.outputs))}


def name_of(call: Call) -> str:
    """`add_` of aten.add_.Tensor."""
    parts = call.target.split(".")
    return parts[1] if len(parts) > 1 else parts[0]
