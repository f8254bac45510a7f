"""Rows of operators that move elements."""

from __future__ import annotations

from tests.mxnet_ops.table import P, Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
X = In((2, 3, 4, 5))
ONES = In((2, 1, 3, 1))
IMAGE = In((2, 3, 7, 9))

ROWS = [
    *(Row(op, {}, [X], dynamic=True) for op in ("Flatten", "flatten", "_npx_batch_flatten")),
    *(Row(op, {"num_args": 3, "dim": 1}, [X, In((2, 1, 4, 5)), X], dynamic=True)
      for op in ("Concat", "concat", "_sparse_concat")),
    *(Row(op, {"num_args": 2, "dim": 0}, [P((4,)), P((7,))]) for op in ("_rnn_param_concat", "_npi_rnn_param_concat")),
    *(Row(op, {"num_args": 2, "axis": axis}, [X, X], f"{axis}", dynamic=True) for op in ("stack", "_npi_stack")
      for axis in (0, 2, -1)),
    *(Row(op, {"dim1": 1, "dim2": -1}, [X], dynamic=True) for op in ("SwapAxis", "swapaxes", "_npi_swapaxes")),
    *(Row(op, {"axis": 2}, [X], dynamic=True) for op in ("expand_dims", "_npi_expand_dims")),
    Row("expand_dims", {"axis": -1}, [X], "last"),
    *(Row(op, {"axis": (1, 3)}, [X], dynamic=True) for op in ("reverse", "flip")),
    Row("squeeze", {}, [ONES]),
    Row("squeeze", {"axis": (1, -1)}, [ONES], "axes", dynamic=True),
    Row("squeeze", {}, [In((1, 1))], "all"),
    *(Row(op, {"reps": (2, 3)}, [X], dynamic=True) for op in ("tile", "_npi_tile")),
    Row("tile", {"reps": (2, 3, 1, 2)}, [In((3, 5))], "longer"),
    *(Row(op, {"repeats": 3, "axis": 2}, [X], dynamic=True) for op in ("repeat", "_np_repeat")),
    Row("repeat", {"repeats": 3, "axis": 0}, [X], "batch", dynamic=True),
    Row("repeat", {"repeats": 2}, [X], "flat"),
    *(Row(op, {"mode": "constant", "pad_width": (0, 0, 0, 0, 1, 2, 3, 0), "constant_value": 1.5}, [X], dynamic=True)
      for op in ("Pad", "pad")),
    *(Row("Pad", {"mode": mode, "pad_width": (0, 0, 0, 0, 1, 2, 3, 0)}, [X], mode, targets=ALL)
      for mode in ("constant", "edge", "reflect")),
    Row("Pad", {"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 2, 3, 0, 0, 1)}, [In((2, 3, 4, 5, 3))], "volume"),
    *(Row(op, {"begin": (None, 1, -3), "end": (None, 3, None)}, [X], dynamic=True)
      for op in ("slice", "crop", "_npi_slice", "_npx_slice", "_sparse_slice")),
    Row("slice", {"begin": (None, -1, 3), "end": (None, None, 0), "step": (1, -2, -1)}, [X], "backwards"),
    Row("slice", {"begin": (0, 0, 1), "end": (9, 2, 99), "step": (None, 1, 2)}, [X], "steps", targets=ALL),
    Row("slice", {"begin": (None, 2), "end": (None, None), "step": (None, -1)}, [X], "no end"),
    Row("slice_axis", {"axis": -2, "begin": 1, "end": 3}, [X], targets=ALL),
    Row("slice_axis", {"axis": 3, "begin": -4, "end": None}, [X], "to the end", dynamic=True),
    Row("slice_like", {}, [X, In((1, 2, 4, 3))]),
    Row("slice_like", {"axes": (2, -1)}, [X, In((2, 3, 2, 3))], "axes", dynamic=True),
    Row("slice_like", {"axes": (0,)}, [X, In((1, 3, 2, 3))], "axis"),
    Row("Crop", {"num_args": 1, "h_w": (4, 5), "offset": (1, 2)}, [IMAGE], dynamic=True),
    Row("Crop", {"num_args": 1, "h_w": (4, 5), "center_crop": True}, [IMAGE], "center", targets=ALL),
    Row("Crop", {"num_args": 2, "offset": (2, 1)}, [IMAGE, In((2, 1, 3, 4))], "like", dynamic=True),
    *(Row(op, {"num_outputs": 3}, [IMAGE], outputs=(0, 1, 2), dynamic=True, targets=ALL)
      for op in ("SliceChannel", "split")),
    Row("split", {"num_outputs": 2, "axis": 0, "squeeze_axis": True}, [X], "squeezed", outputs=(1, 0)),
    Row("split", {"num_outputs": 1, "axis": -1}, [In((2, 3))], "one"),
    *(Row(op, {"indices": (0, 1, 3), "axis": 2}, [X], outputs=(0, 1, 2), dynamic=True)
      for op in ("_split_v2", "_npi_split")),
    *(Row(op, {"indices": (), "sections": 2, "axis": 2}, [X], "sections", outputs=(1, 0))
      for op in ("_split_v2", "_npi_split")),
    Row("_split_v2", {"indices": (), "sections": 1}, [X], "one"),
    Row("_split_v2", {"indices": (0, 1), "axis": 0, "squeeze_axis": True}, [X], "squeezed", outputs=(0, 1)),
    Row("broadcast_to", {"shape": (0, 4, 3, 5)}, [ONES], dynamic=True, targets=ALL),
    *(Row(op, {"axis": (1, 3), "size": (4, 5)}, [ONES], dynamic=True) for op in ("broadcast_axis", "broadcast_axes")),
    Row("broadcast_like", {}, [ONES, In((2, 4, 3, 5))], dynamic=True),
    Row("broadcast_like", {"lhs_axes": (1, -1), "rhs_axes": (0, 2)}, [ONES, In((6, 2, 4))], "axes"),
    Row("depth_to_space", {"block_size": 2}, [In((2, 12, 3, 5))], dynamic=True, targets=ALL),
    Row("space_to_depth", {"block_size": 2}, [In((2, 3, 4, 6))], dynamic=True, targets=ALL),
    *(Row(op, {}, [X], dynamic=True) for op in ("shape_array", "_npx_shape_array", "size_array")),
    *(Row(op, {}, [X, In((4, 30))]) for op in ("reshape_like", "_npx_reshape_like")),
    Row("reshape_like", {"lhs_begin": 1, "lhs_end": 3, "rhs_begin": -1}, [X, In((7, 12))], "part", dynamic=True),
    Row("reshape_like", {}, [X, In((2, 12, 5))], "batch", dynamic=True),
    Row("Concat", {"num_args": 2, "dim": -1}, [X, X], "last axis"),
    Row("transpose", {}, [X]),
    Row("transpose", {"axes": (0, 2, 3, 1)}, [X], "axes", dynamic=True, targets=("tflite", "cpp", "coreml")),
    *(Row(op, {"shape": (0, -1)}, [X], dynamic=True) for op in ("Reshape", "reshape")),
    *(
        Row("Reshape", {"shape": shape}, [X], f"{shape}")
        for shape in [
            (4, 0, -1), (-1,), (-2,), (0, -2), (2, -2), (-3, -2), (0, -3, 5), (-3, -3), (0, 0, -4, -1, 2, 0),
            (-4, 1, 2, -2), (0, -4, 3, 1, -2), (-1, 0), (0, -3, -4, 5, 1), (6, 1, 1, -1),
        ]
    ),
    *(
        Row("Reshape", {"shape": shape, "reverse": True}, [X], f"{shape} reversed")
        for shape in [(-1, 0), (-1, 0, 0), (-2, -3), (0, 0, 2, -1, -4, 0), (0, -1, 4, 5), (-1, 3, 1, 0, 0)]
    ),
    Row("Reshape", {"shape": (-3, -2)}, [X], "batch merged", dynamic=True),
    Row("Reshape", {"shape": (0, -4, 1, 3, -2)}, [X], "batch kept", dynamic=True),
    Row("Reshape", {"target_shape": (2, 0)}, [X], "target shape"),
    Row("Reshape", {"target_shape": (7, 0), "keep_highest": True}, [X], "keep highest"),
]  # fmt: skip
