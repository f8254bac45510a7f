"""ONNX's own node suite: each case read, checked, written, and run by ONNX Runtime against the expected outputs."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from netglot.backends.onnx import save
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.onnx import load
from netglot.runtimes.onnxruntime import OnnxRuntime

PASSED, FAILED = "passes", "fails"
OPSET, DOMAIN, SEQUENCE = "its opset is below 7", "its domain is not ai.onnx", "a sequence or optional"
NO_FORM = "an operator of opset 27 or 28 that the pinned one does not have, or not for the type"
NOT_RUN = "ONNX Runtime can run neither what we wrote nor the original"
OTHER_VALUES = "ONNX Runtime computes something else than the suite expects, and the same from the original"
RANDOM = "random numbers, of which no two runs are equal"
LOCALE = "not tried: needs a locale that not every machine has"

# Every case that does not pass: the names (as a pattern), how many, and what becomes of them. One that starts to pass,
# or fails in another way, must be moved.
EXCEPTIONS: dict[str, dict[str, int]] = {
    OPSET: {"not_?d": 3},
    DOMAIN: {"ai_onnx_ml_*": 8, "flexattention*": 11, "ada*": 4, "*momentum*": 3},
    SEQUENCE: {"*sequence_*": 17, "identity_*": 2, "if_*": 2, "loop*_seq*": 2, "optional_*": 6},
    NO_FORM: {
        "bitshift_*_int*": 20, "causal_conv_with_state_*": 13, "linear_attention_*": 14, "swiglu*": 3,
        "celu_*float16": 2, "*bfloat16*": 8, "range_float16_*": 1, "spacetodepth_crd_*": 1,
    },
    NOT_RUN: {
        "attention_*bf16*": 10, "attention_*window*": 10, "attention_4d_diff_heads_mask4d_padded_kv": 1,
        "cast*FLOAT4E2M1*": 12, "*linear_float4e2m1": 2, "image_decoder_*": 9, "*_batchwise": 3,
        "m??_*int16": 4, "mod_float*_fmod_0*": 6, "pow_types_float32_uint*": 2, "bitshift_*_uint16": 2,
        "bitcast_bool_*": 1, "celu_bfloat16_expanded": 1, "convinteger_with_padding": 1, "reduce_max_empty_set_bool": 1,
        "top_k_uint64": 1,
    },
    OTHER_VALUES: {
        "attention_4d_with_past_and_present_qk_matmul_bias_?d_mask_causal": 2, "attention_4d_causal_fp16": 1,
        "maxunpool_export_with_output_shape": 1, "resize_downsample_scales_*_align_corners": 2,
        "training_dropout*": 4,  # random, but seeded
    },
    RANDOM: {"bernoulli*": 6},
    LOCALE: {"strnormalizer_*_monday_*": 5},
}  # fmt: skip


@cache
def cases() -> list[Any]:
    from onnx.backend.test.case import node

    np.random.seed(0)  # the suite draws from the global generator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[Any] = node.collect_testcases(None)
    return found


def test_node_suite(tmp_path: Path) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for case in cases():
        found[outcome(case, tmp_path)].append(case.name.removeprefix("test_"))
    assert found.pop(FAILED, []) == []
    assert len(found.pop(PASSED)) == 1677
    assert {reason: counted(names, EXCEPTIONS.get(reason, {})) for reason, names in found.items()} == EXCEPTIONS
    assert len(cases()) == 1884


def counted(names: list[str], patterns: dict[str, int]) -> dict[str, int]:
    """How many names each pattern has, by the first that fits; names without one stand for themselves."""
    return dict(Counter(next((p for p in patterns if fnmatchcase(name, p)), name) for name in names))


def outcome(case: Any, folder: Path) -> str:
    if any(fnmatchcase(case.name.removeprefix("test_"), pattern) for pattern in EXCEPTIONS[LOCALE]):
        return LOCALE
    source, target = folder / "source.onnx", folder / "target.onnx"
    source.write_bytes(case.model.SerializeToString())
    try:
        graph = load(source)
        graph.check()
        save(graph, target)
    except UnsupportedError as error:
        return refusal(str(error))
    except ConversionError as error:
        return OPSET if "is not one of 7 to" in str(error) else FAILED
    found = [run(target, inputs) for inputs, _ in case.data_sets]
    expected = [[array(item) for item in outputs] for _, outputs in case.data_sets]
    return PASSED if equal(found, expected, case) else compared(case, source, found, expected)


def compared(case: Any, source: Path, found: list[Any], expected: list[Any]) -> str:
    """Why a case does not pass: what ONNX Runtime makes of the original."""
    original = [run(source, inputs) for inputs, _ in case.data_sets]
    if equal(original, expected, case) or (None in found and None not in original):
        return FAILED
    if None in found:
        return NOT_RUN
    return OTHER_VALUES if equal(found, original, case) else RANDOM


def refusal(message: str) -> str:
    if "sequence" in message or "optional" in message:
        return SEQUENCE
    return DOMAIN if "the operator 'ai.onnx." in message else NO_FORM


def run(path: Path, inputs: list[Any]) -> list[np.ndarray] | None:
    """The outputs, or None where ONNX Runtime can't."""
    try:
        runtime = OnnxRuntime(path)
        names = [tensor.name for tensor in runtime.inputs]
        return list(runtime.run(dict(zip(names, map(array, inputs), strict=True))).values())
    except ConversionError:
        return None


def array(item: Any) -> np.ndarray:
    return numpy_helper.to_array(item) if isinstance(item, onnx.TensorProto) else np.asarray(item)


def equal(found: list[Any], wanted: list[Any], case: Any) -> bool:
    """Whether the outputs of every data set are."""
    if None in found or None in wanted:
        return False
    pairs = [pair for a, b in zip(found, wanted, strict=True) for pair in zip(a, b, strict=True)]
    return all(close(a, b, case) for a, b in pairs)


def close(a: np.ndarray, b: np.ndarray, case: Any) -> bool:
    """Within the case's own tolerance, or within 1e-5 of the largest value."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind == "O":
        return bool((a.astype(str) == b.astype(str)).all())
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    a, b = a.astype(wide), b.astype(wide)
    largest = np.abs(b[np.isfinite(b)]).max(initial=0)
    return bool(np.allclose(a, b, case.rtol, max(case.atol, 1e-5 * largest), equal_nan=True))
