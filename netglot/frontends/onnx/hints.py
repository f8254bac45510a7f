"""Types that the file declares or that ONNX's inference over the whole model finds, where per-node inference can't."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnx import shape_inference

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.onnx.scope import require_text
from netglot.frontends.options import LoadOptions
from netglot.ir import types
from netglot.ir.graph import Value

Type = tuple[np.dtype | None, types.Shape | None]
_MADE_UP = "unk__"  # how onnx calls dimensions that it does not know


def declared(info: onnx.ValueInfoProto, origin: Origin) -> Type:
    """Element type and shape of a ValueInfoProto. UnsupportedError if it is no tensor."""
    kind = info.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        what = str(kind).removesuffix("_type").replace("_", " ")
        raise UnsupportedError(f"'{info.name}' is a {what}; only tensors are supported", origin)
    tensor = info.type.tensor_type
    shape = tuple(_dim(dim, info.name, origin) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
    return _dtype(tensor.elem_type, info.name, origin), shape


def _dtype(code: int, name: str, origin: Origin) -> np.dtype | None:
    try:
        return types.from_onnx(code) if code else None
    except KeyError:
        raise ConversionError(f"'{name}' has the unknown element type {code}", origin) from None


def _dim(dim: onnx.TensorShapeProto.Dimension, name: str, origin: Origin) -> types.Dim:
    if dim.HasField("dim_value"):
        if dim.dim_value < 0:
            raise ConversionError(f"'{name}' has a dimension of {dim.dim_value}", origin)
        return int(dim.dim_value)
    require_text([dim.dim_param], origin)
    return dim.dim_param if dim.dim_param and not dim.dim_param.startswith(_MADE_UP) else None


def inferred(model: onnx.ModelProto, options: LoadOptions) -> Mapping[str, Type]:
    """Types by name, from inference over the whole model with the shapes that the user wants."""
    model = _with_shapes(model, options)
    try:
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
        return {info.name: declared(info, Origin()) for info in [*graph.value_info, *graph.output]}
    except (shape_inference.InferenceError, RuntimeError, ValueError, ConversionError):
        return {}  # the nodes tell what is wrong, with its place


def _with_shapes(model: onnx.ModelProto, options: LoadOptions) -> onnx.ModelProto:
    """A copy without the shapes that the user's make obsolete."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if options.inputs or options.batch:
        del copy.graph.value_info[:]
        for info in copy.graph.output:
            info.type.tensor_type.ClearField("shape")
    for info in copy.graph.input:
        dtype, shape = declared(info, Origin())
        wanted = options.shape(info.name, shape)
        if dtype is not None and wanted is not None:
            info.type.CopyFrom(onnx.helper.make_tensor_type_proto(types.to_onnx(dtype), wanted))
    return copy


def merge(value: Value, hint: Type) -> None:
    """Fills in what inference left unknown."""
    dtype, shape = hint
    value.dtype = value.dtype if value.dtype is not None else dtype
    if value.shape is None:
        value.shape = shape
    elif shape is not None and len(shape) == len(value.shape):
        value.shape = tuple(new if old is None else old for old, new in zip(value.shape, shape, strict=True))


def is_known(value: Value) -> bool:
    return value.dtype is not None and value.shape is not None and None not in value.shape


def body_inputs(op: str, body: onnx.GraphProto, inputs: Sequence[Value | None], origin: Origin) -> Iterator[Type]:
    """Types of the inputs of a body: as declared, or else as what the node feeds it."""
    fed = list(_fed(op, inputs, len(body.input)))
    if len(fed) != len(body.input):
        raise ConversionError(f"the body of {op} has {len(body.input)} inputs, it is fed {len(fed)}", origin)
    for info, outer in zip(body.input, fed, strict=True):
        dtype, shape = declared(info, origin)
        yield dtype if dtype is not None else outer, shape


def _fed(op: str, inputs: Sequence[Value | None], count: int) -> Iterator[np.dtype | None]:
    if op == "Loop":
        yield from (np.dtype(np.int64), np.dtype(bool))
        inputs = inputs[2:]
    elif op == "Scan":
        inputs = inputs[-count:] if count else []  # Scan-8 has the lengths of the sequences first
    yield from (value.dtype if value is not None else None for value in inputs if op != "If")
