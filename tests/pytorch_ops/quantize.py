"""Rows of netglot/frontends/pytorch/operators/quantize.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

Q = "quantized_decomposed"
X = T(2, 3, 4)
SCALE, ZERO = np.array([0.013], np.float32), np.array([5], np.int32)
SCALES, ZEROS = np.array([0.011, 0.023, 0.007], np.float32), np.array([3, -5, 0], np.int64)
I8 = T(2, 3, 4, dtype="int8", low=-128, high=127)
TOKENS = np.array([[[0.01], [0.02], [0.013]], [[0.03], [0.007], [0.011]]])
TOKEN_ZEROS = np.array([[[1], [-2], [0]], [[5], [7], [-9]]])
GROUPS = np.array([[0.1, 0.2], [0.05, 0.3], [0.15, 0.25]], np.float32)
GROUP_ZEROS = np.array([[1, -2], [0, 3], [2, 2]], np.float32)
ON = np.array([1])
HALVES = [np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, 127.5, 300, -300], np.float32)]

ROWS = [
    Row(f"{Q}.quantize_per_tensor.default", X, 0.013, 5, -128, 127, np.int8, row_dynamic=True),
    Row(f"{Q}.quantize_per_tensor.default", X, 0.013, 100, 0, 255, np.uint8, name="uint8"),
    Row(f"{Q}.quantize_per_tensor.default", X, 0.001, 0, -32768, 32767, np.int16, name="int16"),
    Row(f"{Q}.quantize_per_tensor.default", X, 0.04, 5, -100, 20, np.int8, name="narrow", row_dynamic=True),
    Row(f"{Q}.quantize_per_tensor.default", T(10), 1.0, 0, -128, 127, np.int8, name="halves", row_values=HALVES),
    Row(f"{Q}.quantize_per_tensor.default", T(10), 0.5, 3, -7, 7, np.int8, name="narrow ends", row_values=HALVES),
    Row(f"{Q}.quantize_per_tensor.default", T(2, 3, dtype="float16"), 0.013, 5, -128, 127, np.int8, name="float16"),
    Row(f"{Q}.quantize_per_tensor.tensor", X, SCALE, ZERO, -128, 127, np.int8),
    Row(f"{Q}.quantize_per_tensor.tensor", X, T(1), T(1, dtype="int64"), -10, 127, np.int8, name="computed",
        row_values=[np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4), SCALE, ZERO.astype(np.int64)]),
    Row(f"{Q}.quantize_per_tensor.tensor2", X, SCALE, ZERO, np.array(-127), np.array(127), np.int8),
    Row(f"{Q}.dequantize_per_tensor.default", I8, 0.013, 5, -128, 127, np.int8, row_dynamic=True),
    Row(f"{Q}.dequantize_per_tensor.default", I8, 0.013, 5, -127, 127, np.int8, out_dtype=np.float16, name="float16"),
    Row(f"{Q}.dequantize_per_tensor.default", T(3, dtype="int32", low=-900, high=900), 0.01, 0, -(2**31), 2**31 - 1,
        np.int32, name="int32"),
    Row(f"{Q}.dequantize_per_tensor.tensor", I8, SCALE, ZERO, -128, 127, np.int8),
    Row(f"{Q}.dequantize_per_tensor.tensor2", I8, SCALE, ZERO, np.array(-128), np.array(127), np.int8),
    Row(f"{Q}.quantize_per_channel.default", X, SCALES, ZEROS, 1, -128, 127, np.int8, row_dynamic=True),
    Row(f"{Q}.quantize_per_channel.default", X, SCALES, ZEROS, 1, -127, 100, np.int8, name="narrow"),
    Row(f"{Q}.dequantize_per_channel.default", I8, SCALES, ZEROS, 1, -128, 127, np.int8, row_dynamic=True),
    Row(f"{Q}.dequantize_per_channel.default", I8, SCALES, None, 1, -128, 127, np.int8, name="no zero points"),
    Row(f"{Q}.dequantize_per_channel.default", T(3, dtype="int32", low=-900, high=900), SCALES, np.zeros(3, np.int64),
        0, -(2**31), 2**31 - 1, np.int32, name="a bias"),
    Row(f"{Q}.quantize_per_token.default", X, TOKENS.astype(np.float32), TOKEN_ZEROS.astype(np.float32), -128, 127,
        np.int8, row_dynamic=True),
    Row(f"{Q}.quantize_per_token.default", X, TOKENS, TOKEN_ZEROS, -20, 20, np.int8, name="narrow"),
    Row(f"{Q}.dequantize_per_token.default", I8, TOKENS.astype(np.float32), TOKEN_ZEROS, -128, 127, np.int8,
        np.float32, row_dynamic=True),
    Row(f"{Q}.dequantize_per_channel_group.default", T(3, 8, dtype="int8", low=-8, high=7), GROUPS, GROUP_ZEROS, -8, 7,
        np.int8, 4, np.float32),
    Row(f"{Q}.dequantize_per_channel_group.default", T(3, 8, dtype="int8", low=-8, high=7), GROUPS, None, -8, 7,
        np.int8, 4, np.float32, name="no zero points"),
    Row(f"{Q}.choose_qparams.tensor", X, -128, 127, 1e-6, np.int8, row_dynamic=True),
    Row(f"{Q}.choose_qparams.tensor", T(2, 3, low=1, high=3), 0, 255, 1e-6, np.uint8, name="above 0"),
    Row(f"{Q}.choose_qparams_symmetric.tensor", X, -127, 127, 1e-6, np.int8, row_dynamic=True),
    Row(f"{Q}.choose_qparams_symmetric.tensor", X, 0, 255, 1e-6, np.uint8, name="uint8"),
    Row(f"{Q}.choose_qparams_per_token_asymmetric.default", X, np.int8, row_dynamic=True),
    Row(f"{Q}._choose_qparams_per_token_asymmetric_impl.default", T(2, 3, low=-3, high=1), np.int8),
    Row("fake_quantize_per_tensor_affine", X, 0.013, 5, -128, 127, row_dynamic=True),
    Row("fake_quantize_per_tensor_affine", X, 0.03, 100, 0, 127, name="half of uint8"),
    Row("fake_quantize_per_tensor_affine", X, 0.2, 0, -8, 7, name="4 bits"),
    Row("fake_quantize_per_tensor_affine", X, 0.0001, 0, -32768, 32767, name="16 bits"),
    Row("fake_quantize_per_tensor_affine.tensor_qparams", X, SCALE, ZERO, -128, 127),
    Row("fake_quantize_per_tensor_affine_cachemask", X, 0.01, 5, -128, 100, row_dynamic=True),
    Row("_fake_quantize_per_tensor_affine_cachemask_tensor_qparams", X, SCALE, ZERO, ON, -128, 127),
    Row("fake_quantize_per_channel_affine", X, SCALES, ZEROS.astype(np.int32), 1, -128, 127, row_dynamic=True),
    Row("fake_quantize_per_channel_affine", X, SCALES, ZEROS.astype(np.float32), 1, -100, 90, name="float zeros"),
    Row("fake_quantize_per_channel_affine_cachemask", X, SCALES, ZEROS.astype(np.int32), 1, -128, 127),
]  # fmt: skip
