"""Writes a graph as a folder of C++17 that compiles by itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from netglot.backends import lowering
from netglot.backends.composed import compose
from netglot.backends.cpp import entropy, files
from netglot.backends.cpp.arena import ALIGNMENT, plan
from netglot.backends.cpp.context import CppBuilder
from netglot.backends.cpp.control import MOST_STEPS
from netglot.backends.cpp.literals import c_type
from netglot.backends.cpp.model import Model, Sealed, scale_of
from netglot.backends.cpp.packing import scales_of_weights
from netglot.backends.cpp.protect import file_name, hide, map_text, merge, protected, unhidden
from netglot.backends.cpp.quantized import expand_slow
from netglot.backends.cpp.seal import read_key, seal
from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import wanted
from netglot.errors import ConversionError, Problem
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.control import lower_control
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.decompress import decompress
from netglot.passes.fuse_finish import fuse_finish
from netglot.passes.integer import to_integer
from netglot.passes.integer_grids import DEQUANTIZE
from netglot.passes.layout import choose_layout
from netglot.passes.pipeline import CHANNELS_LAST, Pass, run, tidy
from netglot.passes.widen import BRAIN, HALF, widen

WEIGHTS = "weights.bin"
MOST_THREADS = 64
UNTOLD = (
    "",
    "graph",
    "main_graph",
    "model",
    "tf2onnx",
    "torch-jit-export",
    "torch_jit",
)  # what exporters call any network
WEIGHTS_ARRAY = "weights_array.h"  # which the CMakeLists.txt makes of them for compilers without .incbin


def lay_out(graph: Graph) -> bool:
    """Stores images channels-last where that is cheapest. Inputs and outputs are stored as the IR has them."""
    before = len(graph.nx)
    choose_layout(graph, lambda node: wanted(graph, node, "cpp"), lambda value: False)
    return len(graph.nx) > before


def widen_floats(graph: Graph) -> bool:
    """float16 and bfloat16 are computed as float32."""
    return widen(graph, (HALF, BRAIN))


def dequantise(graph: Graph) -> bool:
    """Constant integers are the floats that they stand for, whatever their size."""
    return decompress(graph, DEQUANTIZE)


# In this order, before what has no function is composed of others: that takes the pairs around the weights apart.
FIRST: list[Pass] = [
    decompress,  # Palette and Sparse
    widen_floats,  # the integer layers have scales of float32
    to_integer,
    expand_slow,
]

# In this order, before the operators are lowered.
PASSES: list[Pass] = [
    tidy,
    remove_dead_code,
    fuse_finish,
    lay_out,
    *CHANNELS_LAST,  # these know by now what is stored so
]


def save(
    graph: Graph, path: Path, *, threads: int = 1, exact: bool = False, encrypt: str | Path | None = None,
    protect: bool = False, salt: str | None = None, map_file: Path | None = None,
    quantize: Literal["fp16", "int8"] | None = None, compress: Literal["lossless"] | None = None,
    keep: Collection[str] = (),
) -> int:  # fmt: skip
    """Writes `graph` into the folder `path`; returns the number of nodes written.

    What it declares is called like the graph, or like the folder if that has a name which exporters give to any.
    threads: how many tasks of a layer may run at once. exact: no rearranged sums (Winograd convolutions). encrypt: a
    file with the key that the weights are sealed with (seal.py). protect: no name of the source or of ours is written,
    but such as are derived from `salt` (by default a random one); `map_file` (by default beside the folder) tells the
    owner what they stand for (protect.py). The graph is protected with them. quantize: store the weights of
    convolutions and products as float16, or as int8 with a factor for each output channel; what is computed stays
    float32, and so do weights that float16 can't hold: with that, what `keep` names (netglot.quantize.half) is float32
    whether it is named or not. Those that are float16 in the source are stored so by default, and those that are 8-bit
    integers with one scale for each output channel as int8. compress: the constants are coded without loss (entropy.py)
    and decoded into memory when a model is made; then, too, there are no Winograd convolutions, whose weights are more
    and of more values.

    ConversionError where a shape is not known or C++ has not the type of an input or output; UnsupportedError with
    every node that can't be written.
    """
    _check_options(threads, protect, salt)
    if graph.name in UNTOLD:
        graph.name = path.name.removesuffix("_cpp")
    key = read_key(Path(encrypt)) if encrypt is not None else None
    lower_control(graph, MOST_STEPS, select=True, recurrent=False)
    io_scales = [scale_of(graph, value) for value in (*graph.inputs, *graph.outputs)]  # before the passes take them in
    has_halves = any(value.is_constant and value.dtype == HALF for value in graph.values())
    run(graph, FIRST)
    scales = scales_of_weights(graph)  # of layers whose inputs are floats
    dequantise(graph)
    refused = compose(graph, "cpp")
    _check_types(graph)
    run(graph, PASSES)
    names, tensors = hide(graph, _bytes(salt)) if protect else (None, {})
    m = CppBuilder(graph, threads, exact, quantize, has_halves, compress is not None, scales)
    try:
        lowering.lower(graph, "cpp", m.add, refused)
    except ConversionError as error:
        raise unhidden(error, tensors) from None
    m.copy_outputs()
    offsets, size = _offsets(m.constants)
    ends = dict(zip((*graph.inputs, *graph.outputs), io_scales, strict=True))
    model = Model.of(graph, m, plan(m.buffers()), offsets, size, ends)
    path.mkdir(parents=True, exist_ok=True)
    weights = path / (file_name(WEIGHTS, names) if names else WEIGHTS)
    model = _write_weights(weights, m.constants, model, key, compress is not None)
    if names is None:
        _write_texts(path, files.texts(model) | _runtime())
        return len(graph.nodes())
    model = replace(model, groups=merge([i for i, item in enumerate(model.statements) if item.text], names.salt))
    _write_texts(path, protected(files.texts(model) | _runtime(), names, [WEIGHTS, WEIGHTS_ARRAY]))
    map_file = map_file or path.with_name(path.name + ".map.json")
    map_file.write_text(map_text(names, tensors), encoding="utf-8")
    return len(graph.nodes())


def _check_options(threads: int, protect: bool, salt: str | None) -> None:
    if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise ConversionError(f"threads are a number from 1 to {MOST_THREADS}, not {threads!r}")
    if salt is not None and not protect:
        raise ConversionError("a salt is for the names of a protected model, and this one is not to be protected")
    if salt == "":
        raise ConversionError("the salt is empty", hint="Leave it out, and it is random.")


def _bytes(salt: str | None) -> bytes:
    return os.urandom(32) if salt is None else salt.encode("utf-8", "surrogatepass")


def _runtime() -> dict[str, str]:
    """File name -> text of the headers that are the same for all models."""
    sources = resources.files("netglot.backends.cpp").joinpath("runtime").iterdir()
    return {file.name: file.read_text("ascii") for file in sources if file.name.endswith((".h", ".cpp"))}


def _write_texts(path: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (path / name).write_text(text, encoding="ascii")


def _check_types(graph: Graph) -> None:
    unknown = [value for value in graph.values() if not types.is_static(value.shape)]
    inputs = [value for value in graph.inputs if value in unknown]
    problems = [_unknown_shape(graph, value) for value in inputs or unknown[:1]]
    problems += [problem for value in (*graph.inputs, *graph.outputs) for problem in _unknown_type(value)]
    problems += [] if unknown else [problem for node in graph.nodes() for problem in _wrong_reshape(node)]
    if problems:
        raise ConversionError(problems)


def _unknown_shape(graph: Graph, value: Value) -> Problem:
    what = f"C++ code is for fixed shapes, and that of '{value.name}' is {types.text(value.shape)}"
    maker = graph.producer(value)
    if maker is None:
        return Problem(what, hint="Give the shape of every input: --input NAME:1x3x224x224")
    return Problem(what, maker.origin, hint="Sizes that the data decide stay open in ONNX, TFLite and Core ML.")


def _wrong_reshape(node: Node) -> list[Problem]:
    """A Reshape to another number of elements, as where --batch changes a size that the source has written into the
    shape: inference takes the shape as it is, and the code would read beyond its input."""
    x = node.inputs[0] if node.op == "Reshape" else None
    if x is None or prod(x.sizes) == prod(node.output.sizes):
        return []
    what = f"Reshape: {types.text(x.shape)} can't become {types.text(node.output.shape)}"
    return [Problem(what, node.origin, hint="The model may be for the sizes alone that it was saved with.")]


def _unknown_type(value: Value) -> list[Problem]:
    try:
        c_type(value.dtype)
    except NotMappedError as reason:
        return [Problem(f"'{value.name}' can't be an input or output of C++ code: {reason}")]
    return []


def _offsets(constants: Sequence[np.ndarray]) -> tuple[list[int], int]:
    """Where each constant begins in the weights, and the size of them all, in bytes."""
    ends = list(accumulate((-(-array.nbytes // ALIGNMENT) * ALIGNMENT for array in constants), initial=0))
    return ends[:-1], max(ALIGNMENT, ends[-1])


def _write_weights(
    path: Path, constants: Sequence[np.ndarray], model: Model, key: bytes | None, compress: bool
) -> Model:
    """Writes the constants, coded or one after another, sealed if there is a key; returns the model with what proves
    them."""
    digest, size, sealed = hashlib.sha256(), 0, None
    parts: Iterator[bytes | memoryview] = entropy.encode(constants) if compress else _aligned(constants)
    if key:
        nonce, ciphertext, tag = seal(b"".join(parts), key, hashlib.sha256(model.plan_bytes()).digest())
        parts, sealed = iter([ciphertext]), Sealed(nonce, tag)
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
            size += len(part)
    digest.update(model.plan_bytes())
    model = replace(model, digest=digest.digest(), sealed=sealed)
    return _packed(model, size) if compress else model


def _packed(model: Model, size: int) -> Model:
    """The model with weights coded in `size` bytes: its arena has room for what decodes them, and for the stream where
    that has to be decrypted before."""
    needed = entropy.WORKSPACE + (size if model.sealed else 0)
    arena = max(model.arena, -(-needed // ALIGNMENT) * ALIGNMENT)
    return replace(model, packed=size, arena=arena)


def _aligned(constants: Sequence[np.ndarray]) -> Iterator[bytes | memoryview]:
    """The bytes of each constant, little-endian and in C order, filled up to whole lines."""
    for array in constants:
        stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        yield stored.reshape(-1).view(np.uint8).data
        yield bytes(-stored.nbytes % ALIGNMENT)
    if not any(array.nbytes for array in constants):
        yield bytes(ALIGNMENT)
