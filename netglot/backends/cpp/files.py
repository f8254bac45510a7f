"""The texts of the generated folder. Everything that comes from the model goes through names.py first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import PurePath
from typing import Any

import numpy as np

from netglot.backends.cpp.arena import lower_bound
from netglot.backends.cpp.context import CppBuilder, Statement
from netglot.backends.cpp.literals import c_type
from netglot.backends.cpp.names import Names, comment, file_name, identifier, string
from netglot.backends.cpp.nest import numbers
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value


@dataclass(frozen=True)
class Member:
    """One input or output of the model as the header declares it."""

    member: str
    type: str
    value: Value
    file: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.sizes


@dataclass(frozen=True)
class Model:
    """All that the texts are made of."""

    namespace: str
    title: str
    inputs: Sequence[Member]
    outputs: Sequence[Member]
    statements: Sequence[Statement]
    constants: Mapping[str, np.ndarray]
    arena: int
    arena_bound: int
    weight_files: Sequence[str]

    @classmethod
    def of(cls, graph: Graph, m: CppBuilder, arena: int, weight_files: Sequence[str]) -> Model:
        name = identifier(graph.name, "model")
        namespace = name[0].upper() + name[1:]  # `random`, `time` and the like are functions of the C library
        return cls(
            namespace, comment(graph.name), _members(m.inputs), _members(m.outputs), m.statements, m.constants, arena,
            lower_bound(m.buffers()), weight_files,
        )  # fmt: skip

    @property
    def parameters(self) -> int:
        return sum(array.size for array in self.constants.values())


def _members(members: Mapping[Value, str]) -> list[Member]:
    taken: dict[str, int] = {}
    files = [_unique(file_name(value.name), taken) for value in members]
    pairs = zip(members.items(), files, strict=True)
    return [Member(name, c_type(value.dtype), value, file) for (value, name), file in pairs]


def _unique(name: str, taken: dict[str, int]) -> str:
    """Distinct also where file names do not tell small letters from capitals."""
    key = name.lower()
    taken[key] = taken.get(key, 0) + 1
    return name if taken[key] == 1 else _unique(f"{name}_{taken[key]}", taken)


def texts(model: Model) -> dict[str, str]:
    """File name -> text, without the weights."""
    return {
        "model.h": header(model),
        "model.cpp": source(model),
        "weights.h": weights_header(model),
        "run.cpp": example(model),
        "CMakeLists.txt": cmake(model),
        "README.md": readme(model),
        "interface.json": interface(model),
    }


# ---------------------------------------------------------------------- model.h


def header(model: Model) -> str:
    return f"""\
// {model.title}: a trained network as C++17 code. Written by netglot.
//
//   {model.namespace}::Inputs inputs{{...}};    // pointers to your tensors
//   {model.namespace}::Outputs outputs{{...}};  // pointers to where the results go
//   {model.namespace}::Model::run(inputs, outputs);
//
// Tensors are dense, in C order. Nothing is allocated and nothing is thrown: all memory between the layers is one
// static arena, so only one run at a time (per process) is possible. Outputs must not overlap inputs.
#pragma once

#include "tensor.h"

namespace {model.namespace} {{

/// Where the inputs are.
struct Inputs {{
{_fields(model.inputs, "const ")}}};

/// Where the outputs go.
struct Outputs {{
{_fields(model.outputs, "")}}};

class Model {{
 public:
  static constexpr std::size_t input_count = {len(model.inputs)};
  static constexpr std::size_t output_count = {len(model.outputs)};
  static const netglot::Tensor* inputs();   ///< input_count of them, in the order of Inputs
  static const netglot::Tensor* outputs();  ///< output_count of them, in the order of Outputs

  /// Memory for all values between the layers; no plan could do with less than arena_lower_bound.
  static constexpr std::size_t arena_bytes = {model.arena};
  static constexpr std::size_t arena_lower_bound = {model.arena_bound};

  /// Computes all outputs.
  static void run(const Inputs& inputs, const Outputs& outputs);

  /// The same for pointers in the order of inputs() and outputs().
  static void run(const void* const* inputs, void* const* outputs);
}};

}}  // namespace {model.namespace}
"""


def _fields(members: Sequence[Member], const: str) -> str:
    return "".join(
        f"  {const}{m.type}* {m.member};  ///< {types.text(m.shape)}: {comment(m.value.name)}\n" for m in members
    )


# -------------------------------------------------------------------- model.cpp


def source(model: Model) -> str:
    return f"""\
// {model.title}: the layers, in order. Written by netglot.
#include "model.h"

#include "kernels.h"
#include "weights.h"

namespace {model.namespace} {{
namespace {{

// {model.arena} bytes where at least {model.arena_bound} are alive at once.
alignas(64) unsigned char arena[{max(64, model.arena)}];

template <class T>
[[maybe_unused]] T* at(std::size_t offset) {{
  return reinterpret_cast<T*>(arena + offset);
}}

{_tensors("input", model.inputs)}
{_tensors("output", model.outputs)}
}}  // namespace

const netglot::Tensor* Model::inputs() {{ return input_table; }}

const netglot::Tensor* Model::outputs() {{ return output_table; }}

void Model::run([[maybe_unused]] const void* const* inputs, [[maybe_unused]] void* const* outputs) {{
  run(Inputs{{{_casts("inputs", "const ", model.inputs)}}},
      Outputs{{{_casts("outputs", "", model.outputs)}}});
}}

void Model::run([[maybe_unused]] const Inputs& inputs, [[maybe_unused]] const Outputs& outputs) {{
{"".join(_statement(statement) for statement in model.statements)}}}

}}  // namespace {model.namespace}
"""


def _tensors(kind: str, members: Sequence[Member]) -> str:
    shapes = "".join(
        f"constexpr std::size_t {kind}_shape_{i}[] = {{{numbers(m.shape) or '0'}}};\n" for i, m in enumerate(members)
    )
    rows = "".join(f"    {{{_row(m)}, {kind}_shape_{i}, {_bytes(m)}}},\n" for i, m in enumerate(members))
    return f"{shapes}constexpr netglot::Tensor {kind}_table[] = {{\n{rows or '    {}'}}};\n"


def _row(m: Member) -> str:
    return f'{string(m.value.name)}, "{m.file}", "{_numpy(m)}", {len(m.shape)}'


def _numpy(m: Member) -> str:
    return np.dtype(m.value.dtype).newbyteorder("<").str


def _bytes(m: Member) -> int:
    return prod(m.shape) * np.dtype(m.value.dtype).itemsize


def _casts(array: str, const: str, members: Sequence[Member]) -> str:
    return ", ".join(f"static_cast<{const}{m.type}*>({array}[{i}])" for i, m in enumerate(members))


def _statement(statement: Statement) -> str:
    lines = [f"  // {_title(statement.node)}"]
    lines += [f"  {x.type}* const {x.name} = at<{x.type}>({x.buffer.offset});" for x in statement.locals]
    return "\n".join([*lines, *([f"  {statement.text}"] if statement.text else [])]) + "\n\n"


def _title(node: Node | None) -> str:
    if node is None:
        return "an output that no layer computes"
    shapes = f"{_shapes(node.inputs)} -> {_shapes(node.outputs)}"
    origin = replace(node.origin, file=PurePath(node.origin.file).name)  # where the source lay is nobody's business
    return comment(f"{node.op} '{node.name[:80]}': {shapes}" + (f"; {origin}" if str(origin) else ""))


def _shapes(values: Sequence[Value | None]) -> str:
    return ", ".join(types.text(value.shape) for value in values if value is not None)


# ---------------------------------------------------------------------- weights


def weights_header(model: Model) -> str:
    lines = "".join(
        f"extern const {c_type(array.dtype)} {name}[{max(1, array.size)}];  // {types.text(array.shape)}\n"
        for name, array in model.constants.items()
    )
    return f"""\
// {model.title}: the constants, defined in weights_*.cpp. Written by netglot.
#pragma once

#include <cstdint>
#include <limits>

namespace {model.namespace} {{
namespace weights {{
{lines}}}  // namespace weights
}}  // namespace {model.namespace}
"""


def weights_head(namespace: str) -> str:
    return f"""\
// Written by netglot. Hexadecimal floats are exact.
#include "weights.h"

namespace {namespace} {{
namespace weights {{
"""


def weights_tail(namespace: str) -> str:
    return f"}}  // namespace weights\n}}  // namespace {namespace}\n"


# ------------------------------------------------------------- the rest around it


def example(model: Model) -> str:
    return f"""\
// Runs the model on .npy files: run --input NAME=FILE.npy ... --output-dir DIR. Written by netglot.
#include "model.h"
#include "npy.h"

int main(int argc, char** argv) {{
  using {model.namespace}::Model;
  return netglot::run_on_files(
      argc, argv, {{Model::inputs(), Model::input_count, Model::outputs(), Model::output_count, &Model::run}});
}}
"""


def interface(model: Model) -> str:
    """What the example program reads and writes, for other programs."""
    return json.dumps({"inputs": _described(model.inputs), "outputs": _described(model.outputs)}, indent=1) + "\n"


def _described(members: Sequence[Member]) -> list[dict[str, Any]]:
    return [{"name": m.value.name, "file": m.file, "dtype": _numpy(m), "shape": m.shape} for m in members]


def cmake(model: Model) -> str:
    target = Names("run").add(model.namespace, "model")
    sources = "\n  ".join(["model.cpp", *model.weight_files])
    return f"""\
cmake_minimum_required(VERSION 3.10)
project({target} CXX)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# The model: link your program with it and include model.h.
add_library({target} STATIC
  {sources})
target_include_directories({target} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})

# The example program.
add_executable(run run.cpp npy.cpp)
target_link_libraries(run PRIVATE {target})
"""


def readme(model: Model) -> str:
    return f"""\
# {_markdown(model.title)}

A trained network as C++17 code without dependencies, written by netglot. {model.parameters} constants,
{model.arena} bytes of working memory (static; at least {model.arena_bound} are alive at once).

    cmake -S . -B build && cmake --build build --parallel
    build/run{_usage(model.inputs)} --output-dir results

`build/run` reads and writes NumPy's .npy files. An output is written as its name with whatever is not a letter, digit,
dot, minus or underscore replaced by `_`. To use the model in a program of yours, compile model.cpp and
weights_*.cpp into it and include model.h, which says how to call it.

| | name | type | shape | file |
|---|---|---|---|---|
{_rows("input", model.inputs)}{_rows("output", model.outputs)}
Indices that a model computes and that lie outside of what they index are moved inside. The default build is for any
processor of the family; for this one only, which is faster: `cmake -DCMAKE_CXX_FLAGS=-march=native`.
"""


def _usage(inputs: Sequence[Member]) -> str:
    return "".join(f" --input {m.file}={m.file}.npy" for m in inputs)


def _rows(kind: str, members: Sequence[Member]) -> str:
    return "".join(
        f"| {kind} | {_markdown(comment(m.value.name))} | {m.type} | {types.text(m.shape)} | {m.file}.npy |\n"
        for m in members
    )


def _markdown(text: str) -> str:
    """Text without what Markdown could take for markup."""
    return "".join(c if c.isalnum() or c in " .,:/-" else "_" for c in text)
