"""Lists of tensors: TensorList (TF 2) and TensorArray (TF 1) as one tensor with an axis for the list in front.

A list is a Handle of the kind "list" whose state is a `TensorList`; every write makes a new one. Inside of a loop a
list that is only written at the loop's own counter is never held as a whole: what is written becomes a scan output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import Handle, TFBuilder, tf_op
from netglot.ir.graph import Value
from netglot.ir.types import Shape


class NotScannedError(Exception):
    """A list that was thought to get one element at each step of a loop is used in another way; see loops.py."""


@dataclass(frozen=True, eq=False)
class TensorList:
    """What is known of a list.

    `stacked`: its elements as one tensor, None while nothing was written. `size`: how many it was made for (a tensor),
    where it was made so. `counter`: in a loop that writes each element once, the tensor that counts its steps; `scan`:
    the element that a step writes. `like`: a tensor of an element's shape, where one is known.
    """

    dtype: np.dtype
    element: Shape | None
    stacked: Value | None = None
    size: Value | None = None
    counter: Value | None = None
    scan: Value | None = None
    like: Value | None = None


def of(edge: Any) -> TensorList:
    """What is known of the list that an edge carries; ValueError if it carries something else."""
    if not isinstance(edge, Handle) or not isinstance(edge.state, TensorList):
        raise ValueError("what should be a list of tensors is none")
    return edge.state


def handle(tensors: TensorList) -> Handle:
    return Handle("list", "a list of tensors", tensors)


def stacked(g: TFBuilder, tensors: TensorList) -> Value:
    """All elements as one tensor; those that were not written are zero."""
    if tensors.counter is not None:
        raise NotScannedError
    if tensors.stacked is not None:
        return tensors.stacked
    if tensors.size is None or tensors.element is None:
        raise g.unsupported("a list of tensors of unknown size is read before it is written")
    sizes = [g.reader.size(g, dim) for dim in tensors.element] if tensors.like is None else [g.Shape(tensors.like)]
    parts = [g.reshaped(g.cast(tensors.size, np.int64), (1,)), *sizes]
    zeros: Value = g.ConstantOfShape(g.Concat(*parts, axis=0), value=np.zeros(1, tensors.dtype))
    return zeros


def _element_shape(g: TFBuilder, shape: Value | None) -> Shape | None:
    """The shape that a list's elements are said to have: -1 for an unknown size, a scalar -1 for unknown rank."""
    contents = g.contents(shape)
    if shape is None or contents is None or shape.rank == 0:
        return None
    return tuple(None if dim == -1 else dim for dim in contents)


def _refined(known: Shape | None, item: Shape | None) -> Shape | None:
    if known is None or item is None or len(known) != len(item):
        return known or item
    return tuple(a if isinstance(a, int) else b for a, b in zip(known, item, strict=True))


def _written(g: TFBuilder, tensors: TensorList, index: Value, item: Value) -> TensorList:
    element = _refined(tensors.element, item.shape)
    if tensors.counter is not None and _origin_of(g, index) is tensors.counter:
        if tensors.scan is not None:
            raise NotScannedError
        return replace(tensors, element=element, scan=item)
    added = g.Unsqueeze(item, [0])
    if g.contents(tensors.size) == (1,) and g.contents(index) == (0,):
        return replace(tensors, element=element, stacked=added)  # Keras keeps the last output of a recurrent layer so
    base = stacked(g, replace(tensors, element=element))
    where = g.Reshape(g.cast(index, np.int64), [1, 1])
    return replace(tensors, element=element, stacked=g.ScatterND(base, where, added))


def _origin_of(g: TFBuilder, value: Value) -> Value:
    """What `value` is a copy of, perhaps in another integer type."""
    node = g.graph.producer(value) if value in g.graph.nx else None
    while node is not None and node.op in ("Identity", "Cast") and node.inputs[0] is not None:
        value = node.inputs[0]
        node = g.graph.producer(value) if value in g.graph.nx else None
    return value


# ------------------------------------------------------------------- TF 2 lists


@tf_op("TensorListReserve")
def reserve(g: TFBuilder, element_shape: Value, num_elements: Value, *, element_dtype: Any, shape_type: Any) -> Handle:
    return handle(TensorList(element_dtype, _element_shape(g, element_shape), size=num_elements))


@tf_op("EmptyTensorList")
def empty(
    g: TFBuilder, element_shape: Value, max_num_elements: Value, *, element_dtype: Any, shape_type: Any
) -> Handle:
    return handle(TensorList(element_dtype, _element_shape(g, element_shape), size=g.constant(np.int32(0))))


@tf_op("TensorListFromTensor")
def from_tensor(g: TFBuilder, tensor: Value, element_shape: Value, *, element_dtype: Any, shape_type: Any) -> Handle:
    return handle(TensorList(element_dtype, tensor.shape[1:] if tensor.shape else None, tensor))


@tf_op("TensorListSetItem", handles=True)
def set_item(
    g: TFBuilder, list: Handle, index: Value, item: Value, *, element_dtype: Any,
    resize_if_index_out_of_bounds: bool = False,
) -> Handle:  # fmt: skip
    if resize_if_index_out_of_bounds and of(list).counter is None:
        list = resize(g, list, g.Max(length(g, list), g.Add(index, np.array(1, index.dtype))))
    return handle(_written(g, of(list), index, item))


@tf_op("TensorListGetItem", handles=True)
def get_item(g: TFBuilder, list: Handle, index: Value, element_shape: Value, *, element_dtype: Any) -> Value:
    item: Value = g.Gather(stacked(g, of(list)), index, axis=0)
    return item


@tf_op("TensorListStack", handles=True)
def stack(g: TFBuilder, list: Handle, element_shape: Value, *, element_dtype: Any, num_elements: int = -1) -> Value:
    tensors = of(list)
    element = _refined(tensors.element, _element_shape(g, element_shape))
    return stacked(g, replace(tensors, element=element))


@tf_op("TensorListPushBack", handles=True)
def push_back(g: TFBuilder, list: Handle, item: Value, *, element_dtype: Any) -> Handle:
    tensors = replace(of(list), element=_refined(of(list).element, item.shape))
    added = g.Unsqueeze(item, [0])
    is_empty = tensors.stacked is None and g.contents(tensors.size) == (0,)
    joined = added if is_empty else g.Concat(stacked(g, tensors), added, axis=0)
    return handle(replace(tensors, stacked=joined, size=None))


@tf_op("TensorListPopBack", handles=True)
def pop_back(g: TFBuilder, list: Handle, element_shape: Value, *, element_dtype: Any) -> tuple[Handle, Value]:
    whole = stacked(g, of(list))
    rest = g.Slice(whole, [0], [-1], [0])
    return handle(replace(of(list), stacked=rest, size=None)), g.Gather(whole, np.array(-1, np.int64), axis=0)


@tf_op("TensorListLength", handles=True)
def length(g: TFBuilder, list: Handle) -> Value:
    tensors = of(list)
    if tensors.stacked is None and tensors.size is not None:
        return tensors.size
    return g.cast(g.Reshape(g.Shape(stacked(g, tensors), start=0, end=1), np.empty(0, np.int64)), np.int32)


@tf_op("TensorListElementShape", handles=True)
def element_shape(g: TFBuilder, list: Handle, *, shape_type: Any) -> Value:
    shape = of(list).element
    if shape is not None:
        return g.constant([-1 if not isinstance(dim, int) else dim for dim in shape], shape_type)
    return g.cast(g.Shape(stacked(g, of(list)), start=1), shape_type)


@tf_op("TensorListResize", handles=True)
def resize(g: TFBuilder, list: Handle, size: Value) -> Handle:
    """Cut off, or padded with zeros."""
    whole = stacked(g, of(list))
    element = of(list).element
    wanted = g.Reshape(g.cast(size, np.int64), [1])
    if element is None:
        raise g.unsupported("a list of tensors of unknown shape is resized")
    more = g.Max(g.Sub(wanted, g.Shape(whole, start=0, end=1)), np.zeros(1, np.int64))
    zeros = g.ConstantOfShape(
        g.Concat(more, *(g.reader.size(g, dim) for dim in element), axis=0), value=np.zeros(1, of(list).dtype)
    )
    return handle(replace(of(list), stacked=g.Slice(g.Concat(whole, zeros, axis=0), [0], wanted, [0]), size=None))


@tf_op("TensorListGather", handles=True)
def gather(g: TFBuilder, list: Handle, indices: Value, element_shape: Value, *, element_dtype: Any) -> Value:
    found: Value = g.Gather(stacked(g, of(list)), indices, axis=0)
    return found


@tf_op("TensorListScatterV2", "TensorListScatterIntoExistingList", handles=True)
def scatter(g: TFBuilder, *inputs: Any, element_dtype: Any, shape_type: Any = None) -> Handle:
    """V2 makes a list (tensor, indices, element_shape, num_elements); the other writes into one (list, tensor, ...)."""
    if isinstance(inputs[0], Handle):
        base, tensor, indices = of(inputs[0]), inputs[1], inputs[2]
    else:
        tensor, indices = inputs[0], inputs[1]
        if not inputs[3].is_constant:
            raise g.unsupported("a list of tensors whose size is known only when it runs")
        size = inputs[3] if g.contents(inputs[3]) != (-1,) else _needed(g, indices)
        base = TensorList(element_dtype, tensor.shape[1:] if tensor.shape else None, size=size)
    where = g.Unsqueeze(g.cast(indices, np.int64), [-1])
    return handle(replace(base, stacked=g.ScatterND(stacked(g, base), where, tensor), size=None))


def _needed(g: TFBuilder, indices: Value) -> Value:
    """How many elements a list must have for these indices."""
    count: Value = g.Add(g.ReduceMax(indices, keepdims=0), np.array(1, indices.dtype))
    return count


@tf_op("TensorListSplit")
def split(
    g: TFBuilder, tensor: Value, element_shape: Value, lengths: Value, *, element_dtype: Any, shape_type: Any = None
) -> Handle:
    return handle(_parts(g, tensor, lengths))


def _parts(g: TFBuilder, tensor: Value, lengths: Value) -> TensorList:
    """A list of consecutive parts of a tensor, all of one length."""
    each = g.ints(lengths, "the length of each part")
    if len(set(each)) != 1:
        raise g.unsupported("a list of tensors of several shapes")
    rest = g.Shape(tensor, start=1)
    whole = g.Reshape(tensor, g.Concat(np.array([len(each), each[0]], np.int64), rest, axis=0), allowzero=1)
    return TensorList(tensor.dtype or np.dtype(np.float32), whole.shape[1:] if whole.shape else None, whole)


@tf_op("TensorListConcatV2", "TensorListConcat", handles=True)
def concat(g: TFBuilder, list: Handle, *rest: Value, element_dtype: Any, shape_type: Any = None,
           element_shape: Any = None) -> tuple[Value, Value]:  # fmt: skip
    """All elements one after the other, and how long each is (all alike)."""
    whole = stacked(g, of(list))
    shape = g.Shape(whole)
    count, each, tail = (g.Slice(shape, [a], [b], [0]) for a, b in ((0, 1), (1, 2), (2, 2**31)))
    return g.Reshape(whole, g.Concat(g.Mul(count, each), tail, axis=0)), g.Expand(each, count)


# ------------------------------------------------------------------ TF 1 arrays


@tf_op("TensorArrayV3")
def array(
    g: TFBuilder, size: Value, *, dtype: Any, element_shape: Shape | None = None, dynamic_size: bool = False,
    clear_after_read: bool = True, identical_element_shapes: bool = False, tensor_array_name: str = "",
) -> tuple[Handle, Handle]:  # fmt: skip
    """The array itself is only a name: what it holds flows along its second output."""
    tensors = TensorList(dtype, element_shape, size=size)
    return Handle("array", tensor_array_name), handle(tensors)


@tf_op("TensorArrayWriteV3", handles=True)
def array_write(g: TFBuilder, array: Handle, index: Value, value: Value, flow_in: Handle) -> Handle:
    return handle(_written(g, of(flow_in), index, value))


@tf_op("TensorArrayReadV3", handles=True)
def array_read(g: TFBuilder, array: Handle, index: Value, flow_in: Handle, *, dtype: Any) -> Value:
    item: Value = g.Gather(stacked(g, of(flow_in)), index, axis=0)
    return item


@tf_op("TensorArrayGatherV3", handles=True)
def array_gather(
    g: TFBuilder, array: Handle, indices: Value, flow_in: Handle, *, dtype: Any, element_shape: Shape | None = None
) -> Value:
    tensors = of(flow_in)
    whole = stacked(g, replace(tensors, element=_refined(tensors.element, element_shape)))
    return whole if _is_range(g, indices) else g.Gather(whole, indices, axis=0)


@tf_op("TensorArrayScatterV3", handles=True)
def array_scatter(g: TFBuilder, array: Handle, indices: Value, value: Value, flow_in: Handle) -> Handle:
    element = value.shape[1:] if value.shape else None
    if _is_range(g, indices):
        return handle(replace(of(flow_in), element=element, stacked=value, size=None))
    base = stacked(g, replace(of(flow_in), element=element))
    where = g.Unsqueeze(g.cast(indices, np.int64), [-1])
    return handle(replace(of(flow_in), element=element, stacked=g.ScatterND(base, where, value), size=None))


@tf_op("TensorArraySplitV3", handles=True)
def array_split(g: TFBuilder, array: Handle, value: Value, lengths: Value, flow_in: Handle) -> Handle:
    of(flow_in)
    return handle(_parts(g, value, lengths))


@tf_op("TensorArraySizeV3", handles=True)
def array_size(g: TFBuilder, array: Handle, flow_in: Handle) -> Value:
    return length(g, flow_in)


@tf_op("TensorArrayConcatV3", handles=True)
def array_concat(
    g: TFBuilder, array: Handle, flow_in: Handle, *, dtype: Any, element_shape_except0: Shape | None = None
) -> tuple[Value, Value]:
    whole, lengths = concat(g, flow_in, element_dtype=dtype)
    return whole, g.cast(lengths, np.int64)


@tf_op("TensorArrayCloseV3", handles=True)
def array_close(g: TFBuilder, array: Handle) -> tuple[()]:
    return ()


def _is_range(g: TFBuilder, indices: Value) -> bool:
    """Whether these are 0, 1, 2...: then all elements are meant, in order (dynamic_rnn and TensorArray.stack)."""
    if indices.is_constant:
        return bool(np.array_equal(indices.array.ravel(), np.arange(indices.array.size)))
    source = _origin_of(g, indices)
    node = g.graph.producer(source) if source in g.graph.nx else None
    if node is None or node.op != "Range":
        return False
    return g.contents(node.inputs[0]) == (0,) and g.contents(node.inputs[2]) == (1,)
