"""model.h and model_c.h: what an application sees. Text of the source model goes through names.py first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netglot.backends.cpp.literals import literal
from netglot.backends.cpp.model import Member, Model
from netglot.backends.cpp.names import comment, string
from netglot.backends.cpp.nest import numbers
from netglot.ir import types


def header(model: Model) -> str:
    return f"""\
// {model.title}: a trained network as C++17 code. Written by netglot.
//
//   {model.namespace}::Model model;                 // allocates its memory and checks its weights, once
//   {model.namespace}::Inputs inputs{{...}};    // pointers to your tensors
//   {model.namespace}::Outputs outputs{{...}};  // pointers to where the results go
//   if (model.run(inputs, outputs) != netglot::Status::ok) ...
//
// Tensors are dense, in C order; outputs must not overlap inputs. After it is made a model allocates nothing, throws
// nothing and shares nothing that changes: several may run side by side, each one run at a time.
#pragma once

#include "tensor.h"
{_half_header(model)}{'#include "threads.h"' + chr(10) if model.threads > 1 else ""}
namespace {model.namespace} {{

/// Where the inputs are.
struct Inputs {{
{_fields(model.inputs, "const ")}}};

/// Where the outputs go.
struct Outputs {{
{_fields(model.outputs, "")}}};

{_tensors("input", model.inputs)}
{_tensors("output", model.outputs)}
class Model {{
 public:
  static constexpr std::size_t input_count = {len(model.inputs)};
  static constexpr std::size_t output_count = {len(model.outputs)};
  static const netglot::Tensor* inputs() {{ return input_table; }}    ///< input_count of them, in the order of Inputs
  static const netglot::Tensor* outputs() {{ return output_table; }}  ///< output_count of them, in the order of Outputs

  /// Memory for all values between the layers; no plan could do with less than arena_lower_bound.
  static constexpr std::size_t arena_bytes = {model.arena};
  static constexpr std::size_t arena_lower_bound = {model.arena_bound};
  static constexpr std::size_t weight_bytes = {model.weights};  ///< of the constants
  static constexpr std::size_t stored_bytes = {model.stored};  ///< of them as they are in the program
  static constexpr std::size_t memory_bytes = {model.memory};  ///< what a model needs in all
  static constexpr std::ptrdiff_t threads = {model.threads};  ///< tasks that may run at once
{_memory_comment(model)}
  /// Allocates memory_bytes. What went wrong, if anything did, status() tells.
  explicit Model(const netglot::Options& options = {{}});

  /// Works in `memory` of the caller's: memory_bytes, aligned to 64, for as long as the model lives.
  explicit Model(void* memory, const netglot::Options& options = {{}});

  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  netglot::Status status() const {{ return status_; }}

  /// Computes all outputs, unless status() is not ok, which is then returned.
  netglot::Status run(const Inputs& inputs, const Outputs& outputs);

  /// The same for pointers in the order of inputs() and outputs().
  netglot::Status run(const void* const* inputs, void* const* outputs);

 private:
  void start(const netglot::Options& options);

  unsigned char* memory_;
  const unsigned char* weights_;
  bool owned_;
  netglot::Status status_;
  netglot::Level level_;
  bool has_dot_products_;
  netglot::Parallel parallel_;
{"  netglot::ThreadPool pool_;" + chr(10) if model.threads > 1 else ""}}};

}}  // namespace {model.namespace}
"""


def _half_header(model: Model) -> str:
    has_halves = any(m.value.dtype == np.float16 for m in (*model.inputs, *model.outputs))
    return '#include "half.h"\n' if has_halves else ""


def _fields(members: Sequence[Member], const: str) -> str:
    return "".join(
        f"  {const}{m.type}* {m.member};  ///< {types.text(m.shape)}: {comment(m.value.name)}\n" for m in members
    )


def _tensors(kind: str, members: Sequence[Member]) -> str:
    """Names, types, shapes and scales as constants."""
    shapes = "".join(
        f"inline constexpr std::size_t {kind}_shape_{i}[] = {{{numbers(m.shape) or '0'}}};\n"
        for i, m in enumerate(members)
    )
    rows = "".join(f"    {{{_row(m, f'{kind}_shape_{i}')}}},\n" for i, m in enumerate(members))
    return f"{shapes}inline constexpr netglot::Tensor {kind}_table[] = {{\n{rows or '    {}'}}};\n"


def _row(m: Member, shape: str) -> str:
    scale = f"{literal(m.scale, np.dtype(np.float32))}, {m.zero_point}"
    return f'{string(m.value.name)}, "{m.file}", "{m.numpy}", {len(m.shape)}, {shape}, {m.bytes}, {scale}'


def _memory_comment(model: Model) -> str:
    if model.weights_are_in_place:
        return ""
    key = "encrypted (Options::key is needed)" if model.sealed else ""
    how = " and ".join(filter(None, [key, "compressed" if model.packed is not None else ""]))
    return f"\n  // The weights are {how}: memory_bytes hold them, too.\n"


def c_header(model: Model) -> str:
    """The plain C interface."""
    name = model.symbol
    return f"""\
/* {model.title}: the same model for C. Written by netglot.

     {name}_model* model = {name}_create(0);
     if (model == 0 || {name}_run(model, inputs, outputs) != 0) ...
     {name}_destroy(model);

   Inputs and outputs are arrays of pointers to dense tensors in C order, in the order below. A status is 0 (ok),
   1 (no memory), 2 (the weights are not those that were written) or 3 (encrypted, and the key is another one). */
#pragma once

#ifdef __cplusplus
extern "C" {{
#endif

{_c_constants(model)}
typedef struct {name}_model {name}_model;

/* Allocates a model; 0 if there is no memory for it. key: 32 bytes, which are wiped, if the weights are encrypted. */
{name}_model* {name}_create(unsigned char* key);

/* Whether it can run. */
int {name}_status(const {name}_model* model);

/* Computes all outputs; returns the status. */
int {name}_run({name}_model* model, const void* const* inputs, void* const* outputs);

void {name}_destroy({name}_model* model);

#ifdef __cplusplus
}}
#endif
"""


def _c_constants(model: Model) -> str:
    """Count of inputs and outputs and the bytes of each."""
    lines = []
    for kind, members in (("INPUT", model.inputs), ("OUTPUT", model.outputs)):
        lines.append(f"#define {model.symbol.upper()}_{kind}S {len(members)}")
        for i, m in enumerate(members):
            element = m.type.removeprefix("netglot::")
            about = comment(f"{m.value.name}: {element} {types.text(m.shape)}").replace("*/", "")
            lines.append(f"#define {model.symbol.upper()}_{kind}_{i}_BYTES {m.bytes} /* {about} */")
    return "\n".join(lines) + "\n"
