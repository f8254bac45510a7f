"""layers.h and what it needs: the layers as functions, what they work with, and the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from netglot.backends.cpp.arena import ALIGNMENT, Buffer
from netglot.backends.cpp.context import Local, Statement
from netglot.backends.cpp.model import LEVELS, Model
from netglot.backends.cpp.names import comment
from netglot.backends.cpp.nest import numbers
from netglot.ir import types
from netglot.ir.graph import Node, Value


def run_header(model: Model) -> str:
    """What the layers are given; shared by model.cpp and the layers."""
    levels = "".join(f"namespace level_{i} {{\nvoid layers(const Run& run);\n}}\n" for i in range(LEVELS))
    return f"""\
// {model.title}: what the layers work with. Written by netglot.
#pragma once

#include "model.h"

// How many levels of instructions the layers are compiled for (isa.h); NETGLOT_ONLY names a single one.
#if defined(__GNUC__) && defined(__x86_64__) && !defined(NETGLOT_ONLY)
#define NETGLOT_BUILT_LEVELS {LEVELS}
#else
#define NETGLOT_BUILT_LEVELS 1
#endif
#if NETGLOT_ONLY == 2
#define NETGLOT_LOWEST level_2
#elif NETGLOT_ONLY == 1
#define NETGLOT_LOWEST level_1
#else
#define NETGLOT_LOWEST level_0
#endif

extern "C" const unsigned char {model.symbol}_weights[];

namespace {model.namespace} {{

constexpr int built_levels = NETGLOT_BUILT_LEVELS;

/// Where each constant lies in the weights and each value in the arena, in units of {ALIGNMENT} bytes.
extern const std::uint32_t plan[{len(model.plan)}];

struct Run {{
  const Inputs& inputs;
  const Outputs& outputs;
  unsigned char* arena;
  const unsigned char* weights;
  const netglot::Parallel& parallel;
  bool has_dot_products;

  template <class T>
  const T* constant(int index) const {{
    return reinterpret_cast<const T*>(weights + std::size_t{{plan[index]}} * {ALIGNMENT});
  }}

  template <class T>
  T* buffer(int index) const {{
    unsigned char* start = arena + std::size_t{{plan[index]}} * {ALIGNMENT};
#if defined(__GNUC__)
    __asm__("" : "+r"(start));  // GCC 12 sees that all buffers have one base, and drops whole layers for it
#endif
    return reinterpret_cast<T*>(start);
  }}
}};

{levels}
}}  // namespace {model.namespace}
"""


_LAYER_MACRO = """
#if !defined(NETGLOT_LAYER)
#define NETGLOT_LAYER(i) layer_##i(run)
#endif
"""


def layers(model: Model) -> str:
    """All layers; included by a source file for each level."""
    groups = model.groups or [[i] for i, statement in enumerate(model.statements) if statement.text]
    functions = "\n".join(_layer(model, group) for group in groups)
    call = "layer_{}(run)" if model.groups else "NETGLOT_LAYER({})"
    calls = "".join(f"  {call.format(group[0])};\n" for group in groups)
    return f"""\
// {model.title}: the layers, in order. Written by netglot.
#include "kernels.h"
#include "run.h"
{"" if model.groups else _LAYER_MACRO}
namespace {model.namespace} {{
namespace NETGLOT_LEVEL_NAME {{
namespace {{

namespace netglot = ::NETGLOT_NAMESPACE;

{functions}
}}  // namespace

void layers([[maybe_unused]] const Run& run) {{
{calls}}}

}}  // namespace NETGLOT_LEVEL_NAME
}}  // namespace {model.namespace}
"""


def level(index: int) -> str:
    return f"""\
// The layers for level {index} of the processor's instructions (isa.h). Written by netglot.
#define NETGLOT_LEVEL {index}
#include "isa.h"

#if NETGLOT_IS_BUILT
#include "layers.h"
#endif
"""


def _layer(model: Model, group: Sequence[int]) -> str:
    """The function of some layers, named after the first."""
    bodies = [_body(model, model.statements[i]) for i in group]
    body = bodies[0] if len(bodies) == 1 else "".join(f"  {{\n{body}  }}\n" for body in bodies)
    return f"""\
// {"; ".join(title(model.statements[i].node) for i in group)}
NETGLOT_TARGET NETGLOT_OPAQUE void layer_{group[0]}([[maybe_unused]] const Run& run) {{
{body}}}
"""


def _body(model: Model, statement: Statement) -> str:
    lines = [_local(model, local) for local in statement.locals]
    if "parallel" in statement.text:
        lines.append("const auto& parallel = run.parallel;")
    return "".join(f"  {line}\n" for line in [*lines, statement.text])


def _local(model: Model, local: Local) -> str:
    if isinstance(local.place, Buffer):
        return f"{local.type}* const {local.name} = run.buffer<{local.type}>({model.places[id(local.place)]});"
    return f"const {local.type}* const {local.name} = run.constant<{local.type}>({local.place});"


def title(node: Node | None) -> str:
    if node is None:
        return "an output that no layer computes"
    shapes = f"{_shapes(node.inputs)} -> {_shapes(node.outputs)}"
    origin = replace(node.origin, file=PurePath(node.origin.file).name)  # where the source lay is nobody's business
    return comment(f"{node.op} '{node.name[:80]}': {shapes}" + (f"; {origin}" if str(origin) else ""))


def _shapes(values: Sequence[Value | None]) -> str:
    return ", ".join(types.text(value.shape) for value in values if value is not None)


def weights(model: Model) -> str:
    """The weights as a part of the program: by the assembler, or as the array that the build makes of the file."""
    plan = "".join(f"\n    {numbers(model.plan[i : i + 16])}," for i in range(0, len(model.plan), 16))
    return f"""\
// {model.title}: the constants, from weights.bin, and the memory plan. Written by netglot.
//
// GCC and Clang include the file by the assembler, which looks for it where headers are looked for and in the current
// folder; NETGLOT_WEIGHTS names another place. With NETGLOT_WEIGHTS_ARRAY, for other compilers, it is weights_array.h,
// the same bytes as numbers, which the CMakeLists.txt makes.
#include "run.h"

#if !defined(__GNUC__) && !defined(NETGLOT_WEIGHTS_ARRAY)
#define NETGLOT_WEIGHTS_ARRAY
#endif

#if defined(NETGLOT_WEIGHTS_ARRAY)
alignas({ALIGNMENT}) const unsigned char {model.symbol}_weights[{model.stored}] = {{
#include "weights_array.h"
}};
#else
#include "incbin.h"
NETGLOT_INCBIN({model.symbol}_weights, {model.stored}, NETGLOT_WEIGHTS)
#endif

namespace {model.namespace} {{

const std::uint32_t plan[{len(model.plan)}] = {{{plan}
}};

}}  // namespace {model.namespace}
"""
