"""The text form of TensorFlow's messages (.pbtxt), turned into the binary form, which then is read as any other.

So there is one reader of each message. The tables say what a field is called in the text: `s` text or bytes, `i` an
integer, `b` a bool, `f` and `d` floats, `t` an element type, otherwise the nested message; None is left out, since
nothing here depends on it. A name that is not listed is an error, as it is for TensorFlow.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from netglot.errors import ConversionError, Origin
from netglot.frontends import textproto
from netglot.frontends.tensorflow.messages import LINE
from netglot.frontends.textproto import Name, bytes_of
from netglot.frontends.wire import BYTES, FIXED32, FIXED64, VARINT
from netglot.ir.protobuf import key, varint

_Fields = Mapping[str, tuple[int, str] | None]


def _fields(text: str, ignored: str = "") -> _Fields:
    """Fields from "name number kind, ..."."""
    items = (item.split() for item in text.split(","))
    known: dict[str, tuple[int, str] | None] = {name: (int(number), kind) for name, number, kind in items}
    return {**known, **dict.fromkeys(ignored.split())}


_MESSAGES: Mapping[str, _Fields] = {
    "SavedModel": _fields("saved_model_schema_version 1 i, meta_graphs 2 MetaGraphDef"),
    "MetaGraphDef": _fields(
        "meta_info_def 1 MetaInfoDef, graph_def 2 GraphDef, saver_def 3 SaverDef, signature_def 5 SignatureEntry,"
        "asset_file_def 6 AssetFileDef, object_graph_def 7 SavedObjectGraph",
        "collection_def",
    ),
    "MetaInfoDef": _fields(
        "meta_graph_version 1 s, stripped_op_list 2 OpList, tags 4 s, tensorflow_version 5 s",
        "any_info tensorflow_git_version stripped_default_attrs function_aliases",
    ),
    "SaverDef": _fields(
        "filename_tensor_name 1 s, save_tensor_name 2 s, restore_op_name 3 s",
        "max_to_keep sharded keep_checkpoint_every_n_hours version",
    ),
    "SignatureEntry": _fields("key 1 s, value 2 SignatureDef"),
    "SignatureDef": _fields("inputs 1 TensorInfoEntry, outputs 2 TensorInfoEntry, method_name 3 s", "defaults"),
    "TensorInfoEntry": _fields("key 1 s, value 2 TensorInfo"),
    "TensorInfo": _fields("name 1 s, dtype 2 t, tensor_shape 3 TensorShapeProto", "coo_sparse composite_tensor"),
    "AssetFileDef": _fields("tensor_info 1 TensorInfo, filename 2 s"),
    "SavedObjectGraph": _fields("nodes 1 SavedObject, concrete_functions 2 ConcreteFunctionEntry"),
    "SavedObject": _fields(
        "children 1 ObjectReference, asset 5 SavedAsset, variable 7 SavedVariable",
        "dependencies slot_variables user_object function bare_concrete_function constant resource captured_tensor "
        "saveable_objects registered_name serialized_user_proto registered_saver",
    ),
    "ObjectReference": _fields("node_id 1 i, local_name 2 s"),
    "SavedAsset": _fields("asset_file_def_index 1 i"),
    "SavedVariable": _fields(
        "dtype 1 t, shape 2 TensorShapeProto, name 6 s",
        "trainable synchronization aggregation device experimental_distributed_variable_components",
    ),
    "ConcreteFunctionEntry": _fields("key 1 s, value 2 SavedConcreteFunction"),
    "SavedConcreteFunction": _fields("bound_inputs 2 i", "canonicalized_input_signature output_signature"),
    "GraphDef": _fields(
        "node 1 NodeDef, library 2 FunctionDefLibrary, version 3 i, versions 4 VersionDef", "debug_info"
    ),
    "VersionDef": _fields("producer 1 i, min_consumer 2 i, bad_consumers 3 i"),
    "NodeDef": _fields(
        "name 1 s, op 2 s, input 3 s, device 4 s, attr 5 AttrEntry", "experimental_debug_info experimental_type"
    ),
    "FunctionDefLibrary": _fields("function 1 FunctionDef", "gradient registered_gradients"),
    "FunctionDef": _fields(
        "signature 1 OpDef, node_def 3 NodeDef, ret 4 TextEntry, attr 5 AttrEntry, control_ret 6 TextEntry,"
        "arg_attr 7 ArgAttrsEntry",
        "resource_arg_unique_id",
    ),
    "ArgAttrsEntry": _fields("key 1 i, value 2 ArgAttrs"),
    "ArgAttrs": _fields("attr 1 AttrEntry"),
    "TextEntry": _fields("key 1 s, value 2 s"),
    "OpList": _fields("op 1 OpDef"),
    "OpDef": _fields(
        "name 1 s, input_arg 2 ArgDef, output_arg 3 ArgDef, attr 4 AttrDef",
        "control_output deprecation summary description is_commutative is_aggregate is_stateful "
        "allows_uninitialized_input is_distributed_communication",
    ),
    "ArgDef": _fields(
        "name 1 s, type 3 t, type_attr 4 s, number_attr 5 s, type_list_attr 6 s",
        "description handle_data is_ref experimental_full_type",
    ),
    "AttrDef": _fields(
        "name 1 s, type 2 s, default_value 3 AttrValue", "description has_minimum minimum allowed_values"
    ),
    "AttrEntry": _fields("key 1 s, value 2 AttrValue"),
    "AttrValue": _fields(
        "list 1 ListValue, s 2 s, i 3 i, f 4 f, b 5 b, type 6 t, shape 7 TensorShapeProto, tensor 8 TensorProto,"
        "placeholder 9 s, func 10 NameAttrList"
    ),
    "ListValue": _fields(
        "s 2 s, i 3 i, f 4 f, b 5 b, type 6 t, shape 7 TensorShapeProto, tensor 8 TensorProto, func 9 NameAttrList"
    ),
    "NameAttrList": _fields("name 1 s, attr 2 AttrEntry"),
    "TensorShapeProto": _fields("dim 2 Dim, unknown_rank 3 b"),
    "Dim": _fields("size 1 i", "name"),
    "TensorProto": _fields(
        "dtype 1 t, tensor_shape 2 TensorShapeProto, tensor_content 4 s, float_val 5 f, double_val 6 d, int_val 7 i,"
        "string_val 8 s, scomplex_val 9 f, int64_val 10 i, bool_val 11 b, dcomplex_val 12 d, half_val 13 i,"
        "uint32_val 16 i, uint64_val 17 i, float8_val 18 s",
        "version_number resource_handle_val variant_val",
    ),
}

_TYPES = (
    "INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16 QINT16 "
    "QUINT16 UINT16 COMPLEX128 HALF RESOURCE VARIANT UINT32 UINT64 FLOAT8_E5M2 FLOAT8_E4M3FN FLOAT8_E4M3FNUZ "
    "FLOAT8_E4M3B11FNUZ FLOAT8_E5M2FNUZ INT4 UINT4 INT2 UINT2 FLOAT4_E2M1FN"
)
_CODES: Mapping[str, int] = {
    **{f"DT_{name}": code for code, name in enumerate(_TYPES.split())},
    **{f"DT_{name}_REF": code + 100 for code, name in enumerate(_TYPES.split())},
}
_BOOLS: Mapping[Any, int] = {"true": 1, "True": 1, "t": 1, "false": 0, "False": 0, "f": 0, 1: 1, 0: 0}

_START = re.compile(rb"(?:\s|#[^\n]*\n)*[a-z_]+\s*[:{<]")


def is_text(view: memoryview) -> bool:
    """Whether a file begins as a text form does; a binary one has control characters early."""
    begin = bytes(view[:4096])
    return b"\0" not in begin and _START.match(begin) is not None


def encoded(view: memoryview, file: str) -> tuple[memoryview, str]:
    """The binary form of a text, and the kind of message that it is. ConversionError names the line that is wrong."""
    try:
        message = textproto.parse(str(view, "utf-8"), file)
    except UnicodeDecodeError as error:
        raise ConversionError(f"not a text file: {error.reason} at byte {error.start}", Origin(file)) from None
    kind = next((kind for kind in _ROOTS if set(message.names()) & set(_MESSAGES[kind])), "GraphDef")
    return memoryview(_message(message, kind, file)), kind


_ROOTS = ("SavedModel", "MetaGraphDef", "GraphDef")


def _message(message: textproto.Message, kind: str, file: str) -> bytes:
    out = bytearray()
    for name, value, line in message.fields:
        if name not in _MESSAGES[kind]:
            raise ConversionError(f"a {kind} has no field '{name:.80}'", Origin(file, line=line))
        known = _MESSAGES[kind][name]
        if known is not None:
            out += _field(*known, value, Origin(file, name, line))
    return bytes(out) + (key(LINE, VARINT) + varint(message.line) if kind == "NodeDef" else b"")


def _field(number: int, kind: str, value: Any, origin: Origin) -> bytes:
    if kind in _MESSAGES:
        if not isinstance(value, textproto.Message):
            raise ConversionError(f"'{origin.layer}' holds no message", Origin(origin.file, line=origin.line))
        return _sized(number, _message(value, kind, origin.file))
    try:
        return _SCALARS[kind](number, value)
    except (TypeError, KeyError, OverflowError, struct.error, AttributeError):
        what = f"'{origin.layer}' can't be {value!s:.80}"
        raise ConversionError(what, Origin(origin.file, line=origin.line)) from None


def _sized(number: int, content: bytes) -> bytes:
    return key(number, BYTES) + varint(len(content)) + content


def _text(number: int, value: Any) -> bytes:
    return _sized(number, bytes_of(value))


def _int(number: int, value: Any) -> bytes:
    if not isinstance(value, int) or not -(1 << 63) <= value < 1 << 64:
        raise TypeError
    return key(number, VARINT) + varint(value % (1 << 64))


def _bool(number: int, value: Any) -> bytes:
    return _int(number, _BOOLS[value])


def _type(number: int, value: Any) -> bytes:
    return _int(number, _CODES[value] if isinstance(value, Name) else value)


def _float(number: int, value: Any) -> bytes:
    return key(number, FIXED32) + struct.pack("<f", _real(value))


def _double(number: int, value: Any) -> bytes:
    return key(number, FIXED64) + struct.pack("<d", _real(value))


def _real(value: Any) -> float:
    """A number; a bare word such as "Infinity" is one too."""
    if not isinstance(value, int | float | Name):
        raise TypeError
    return float(value)


_SCALARS: Mapping[str, Callable[[int, Any], bytes]] = {
    "s": _text, "i": _int, "b": _bool, "t": _type, "f": _float, "d": _double,
}  # fmt: skip
