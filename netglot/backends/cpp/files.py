"""The texts of the generated folder that are not the model's own code: the example program, CMake, the description."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from netglot.backends.cpp import construction, headers, layers
from netglot.backends.cpp.model import LEVELS, Member, Model
from netglot.backends.cpp.names import Names, comment
from netglot.ir import types


def texts(model: Model) -> dict[str, str]:
    """File name -> text, without the weights and the headers that are the same for all models."""
    return {
        "model.h": headers.header(model),
        "model_c.h": headers.c_header(model),
        "model.cpp": construction.source(model),
        "run.h": layers.run_header(model),
        "layers.h": layers.layers(model),
        **{f"layers_{i}.cpp": layers.level(i) for i in range(LEVELS)},
        "weights.cpp": layers.weights(model),
        "run.cpp": example(model),
        "CMakeLists.txt": cmake(model),
        "README.md": readme(model),
        "interface.json": interface(model),
    }


def example(model: Model) -> str:
    return f"""\
// Runs the model on .npy files, or times it: see run --help. Written by netglot.
#include "model.h"
#include "npy.h"

int main(int argc, char** argv) {{
  return netglot::run_on_files(argc, argv, netglot::program<{model.namespace}::Model>());
}}
"""


def interface(model: Model) -> str:
    """What the example program reads and writes, for other programs."""
    return json.dumps({"inputs": _described(model.inputs), "outputs": _described(model.outputs)}, indent=1) + "\n"


def _described(members: Sequence[Member]) -> list[dict[str, Any]]:
    return [{"name": m.value.name, "file": m.file, "dtype": m.numpy, "shape": m.shape} for m in members]


def cmake(model: Model) -> str:
    target = Names("run").add(model.namespace, "model")
    levels = " ".join(f"layers_{i}.cpp" for i in range(LEVELS))
    return f"""\
cmake_minimum_required(VERSION 3.10)
project({target} CXX)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
  set(CMAKE_CXX_FLAGS_RELEASE "-O2")
endif()
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# The model: link your program with it and include model.h.
add_library({target} STATIC model.cpp {levels} weights.cpp)
target_include_directories({target} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
set_source_files_properties(weights.cpp PROPERTIES OBJECT_DEPENDS ${{CMAKE_CURRENT_SOURCE_DIR}}/weights.bin)

{_threads(model, target)}# Compilers that can't include a file by the assembler get the weights as numbers.
if(MSVC OR WEIGHTS_ARRAY)
  file(READ weights.bin hexadecimal HEX)
  string(REGEX REPLACE "(..)" "0x\\\\1," numbers "${{hexadecimal}}")
  file(WRITE ${{CMAKE_CURRENT_BINARY_DIR}}/weights_array.h "${{numbers}}\n")
  target_compile_definitions({target} PRIVATE NETGLOT_WEIGHTS_ARRAY)
  target_include_directories({target} PRIVATE ${{CMAKE_CURRENT_BINARY_DIR}})
endif()

# The example program; not within a project of yours, where another model has its own.
if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  find_package(Threads REQUIRED)
  add_executable(run run.cpp npy.cpp)
  target_link_libraries(run PRIVATE {target} Threads::Threads)
endif()
"""


def _threads(model: Model, target: str) -> str:
    if model.threads == 1:
        return ""
    return f"find_package(Threads REQUIRED)\ntarget_link_libraries({target} PUBLIC Threads::Threads)\n\n"


def readme(model: Model) -> str:
    return f"""\
# {_markdown(model.title)}

A trained network as C++17 code without dependencies, written by netglot. {model.parameters} constants in
{_stored(model)}; {model.arena} bytes of working memory (at least {model.arena_bound} are alive at once).

    cmake -S . -B build && cmake --build build --parallel
    build/run{_usage(model.inputs)} --output-dir results
    build/run --repeat 30

`build/run` reads and writes NumPy's .npy files. An output is written as its name with whatever is not a letter, digit,
dot, minus or underscore replaced by `_`. To use the model in a program of yours, compile model.cpp, layers_*.cpp and
weights.cpp into it (with this folder as one where headers are looked for) and include model.h, which says how to call
it. No flag for the processor is needed: the layers are compiled for each level of its family, and the best that the
machine has is picked when a model is made (`-DNETGLOT_ONLY=0`, 1 or 2 builds for that level alone, which is smaller).

| | name | type | shape | file |
|---|---|---|---|---|
{_rows("input", model.inputs)}{_rows("output", model.outputs)}
Indices that a model computes and that lie outside of what they index are moved inside.
"""


def _stored(model: Model) -> str:
    if model.packed is None:
        return f"{model.weights} bytes"
    return f"{model.weights} bytes, which are compressed to {model.packed} and decoded when a model is made"


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
