"""The C++ texts of one model. Everything that comes from the source model goes through names.py first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import PurePath

import numpy as np

from netglot.backends.cpp.arena import ALIGNMENT, Buffer, lower_bound
from netglot.backends.cpp.context import CppBuilder, Local, Statement
from netglot.backends.cpp.literals import c_type, literal
from netglot.backends.cpp.names import comment, file_name, identifier, string
from netglot.backends.cpp.nest import numbers
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value

LEVELS = 3  # how often the layers are compiled on x86-64: runtime/isa.h


@dataclass(frozen=True)
class Member:
    """One input or output of the model as the header declares it."""

    member: str
    type: str
    value: Value
    file: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.sizes

    @property
    def numpy(self) -> str:
        return np.dtype(self.value.dtype).newbyteorder("<").str

    @property
    def bytes(self) -> int:
        return prod(self.shape) * np.dtype(self.value.dtype).itemsize


@dataclass(frozen=True)
class Sealed:
    """What opens encrypted weights, besides the key."""

    nonce: bytes
    tag: bytes


@dataclass(frozen=True)
class Model:
    """All that the texts are made of. `plan`: where each buffer and each constant lies, in units of 64 bytes."""

    namespace: str
    title: str
    inputs: Sequence[Member]
    outputs: Sequence[Member]
    statements: Sequence[Statement]
    places: Mapping[int, int]  # id of a Buffer -> index of the plan
    plan: Sequence[int]
    parameters: int
    weights: int  # bytes
    arena: int
    arena_bound: int
    threads: int
    digest: bytes = bytes(32)
    sealed: Sealed | None = None
    groups: Sequence[Sequence[int]] = ()  # of statements that make one function; by default, each has its own

    @classmethod
    def of(cls, graph: Graph, m: CppBuilder, arena: int, offsets: Sequence[int], weights: int) -> Model:
        """`offsets`: of the constants, in bytes."""
        name, buffers = identifier(graph.name, "model"), m.buffers()
        namespace = name[0].upper() + name[1:]  # `random`, `time` and the like are functions of the C library
        places = {id(buffer): len(offsets) + i for i, buffer in enumerate(buffers)}
        plan = [at // ALIGNMENT for at in (*offsets, *(buffer.offset for buffer in buffers))] or [0]
        return cls(
            namespace, comment(graph.name), _members(graph, m.inputs), _members(graph, m.outputs), m.statements,
            places, plan, sum(array.size for array in m.constants), weights, max(arena, ALIGNMENT),
            lower_bound(buffers), m.threads,
        )  # fmt: skip

    @property
    def symbol(self) -> str:
        """The beginning of the names of C functions and of the weights."""
        return self.namespace.lower()

    @property
    def memory(self) -> str:
        """What a model needs in all, as the header says it."""
        return "arena_bytes + weight_bytes" if self.sealed else "arena_bytes"

    def plan_bytes(self) -> bytes:
        """The plan as the digest sees it."""
        return np.asarray(self.plan, "<u4").tobytes()


def _members(graph: Graph, members: Mapping[Value, str]) -> list[Member]:
    taken: dict[str, int] = {}
    files = [_unique(file_name(value.name), taken) for value in members]
    pairs = zip(members.items(), files, strict=True)
    return [Member(name, c_type(value.dtype), value, file, *_scale(graph, value)) for (value, name), file in pairs]


def _unique(name: str, taken: dict[str, int]) -> str:
    """Distinct also where file names do not tell small letters from capitals."""
    key = name.lower()
    taken[key] = taken.get(key, 0) + 1
    return name if taken[key] == 1 else _unique(f"{name}_{taken[key]}", taken)


def _scale(graph: Graph, value: Value) -> tuple[float, int]:
    """Scale and zero point of an input that is only dequantised, or of an output that was just quantised."""
    maker, readers = graph.producer(value), graph.consumers(value)
    node = maker if maker is not None else readers[0] if len(readers) == 1 else None
    if node is None or node.op != ("QuantizeLinear" if maker else "DequantizeLinear"):
        return 0.0, 0
    scale, zero = node.input(1), node.input(2)
    known = [x for x in (scale, zero) if x is not None]
    if any(not x.is_constant or prod(x.sizes) != 1 for x in known) or scale is None:
        return 0.0, 0
    return float(scale.array.item()), int(zero.array.item()) if zero is not None else 0


# ---------------------------------------------------------------------- model.h


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
  static constexpr std::size_t memory_bytes = {model.memory};  ///< what a model needs in all
  static constexpr std::ptrdiff_t threads = {model.threads};  ///< tasks that may run at once
{_key_comment(model)}
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


# -------------------------------------------------------------------- model.cpp


def source(model: Model) -> str:
    return f"""\
// {model.title}: how a model is made and run. Written by netglot.
#include "model.h"

#include <cstring>
#include <new>

#include "cpu.h"
#include "model_c.h"
#include "run.h"
{'#include "seal.h"' + chr(10) if model.sealed else ""}#include "sha256.h"

namespace {model.namespace} {{
namespace {{

/// Of the weights, as they are in the program, and the memory plan.
constexpr unsigned char digest[32] = {{{numbers(model.digest)}}};

void add_plan(netglot::Sha256& hash) {{
  for (const std::uint32_t place : plan) {{
    unsigned char bytes[4];
    for (int i = 0; i < 4; ++i) bytes[i] = static_cast<unsigned char>(place >> 8 * i);
    hash.update(bytes, sizeof bytes);
  }}
}}

bool is_intact() {{
  netglot::Sha256 hash;
  hash.update({model.symbol}_weights, Model::weight_bytes);
  add_plan(hash);
  unsigned char found[32];
  hash.finish(found);
  return std::memcmp(found, digest, sizeof found) == 0;
}}

{_opening(model)}}}  // namespace

Model::Model(const netglot::Options& options)
    : memory_(static_cast<unsigned char*>(::operator new(memory_bytes, std::align_val_t(64), std::nothrow))),
      owned_(true){_pool(model)} {{
  start(options);
}}

Model::Model(void* memory, const netglot::Options& options)
    : memory_(static_cast<unsigned char*>(memory)), owned_(false){_pool(model)} {{
  start(options);
}}

Model::~Model() {{
{_forget(model)}  if (owned_) ::operator delete(memory_, std::align_val_t(64), std::nothrow);
}}

void Model::start(const netglot::Options& options) {{
  const netglot::Level built = netglot::Level(built_levels - 1);
  level_ = netglot::supported(options.level < built ? options.level : built);
  has_dot_products_ = netglot::has_dot_products();
  parallel_ = options.parallel;
{_own_threads(model)}  if (parallel_.workers > threads) parallel_ = {{}};  // each worker has memory of its own
  weights_ = {model.symbol}_weights;
  const bool has_memory = memory_ != nullptr && reinterpret_cast<std::uintptr_t>(memory_) % 64 == 0;
  status_ = !has_memory     ? netglot::Status::no_memory
            : !is_intact() ? netglot::Status::corrupted
                           : netglot::Status::ok;
{_opened(model)}}}

netglot::Status Model::run([[maybe_unused]] const void* const* inputs, [[maybe_unused]] void* const* outputs) {{
  return run(Inputs{{{_casts("inputs", "const ", model.inputs)}}},
             Outputs{{{_casts("outputs", "", model.outputs)}}});
}}

netglot::Status Model::run(const Inputs& inputs, const Outputs& outputs) {{
  if (status_ != netglot::Status::ok) return status_;
  const Run run{{inputs, outputs, memory_, weights_, parallel_, has_dot_products_}};
#if NETGLOT_BUILT_LEVELS > 1
  if (level_ == netglot::Level::avx512) return level_2::layers(run), status_;
  if (level_ == netglot::Level::avx2) return level_1::layers(run), status_;
#endif
  NETGLOT_LOWEST::layers(run);
  return status_;
}}

}}  // namespace {model.namespace}

{_c_functions(model)}"""


def _pool(model: Model) -> str:
    """The pool starts no threads where the application has its own."""
    return ", pool_(options.parallel.run != nullptr ? 1 : threads)" if model.threads > 1 else ""


def _own_threads(model: Model) -> str:
    return "  if (parallel_.run == nullptr) parallel_ = pool_.parallel();\n" if model.threads > 1 else ""


def _key_comment(model: Model) -> str:
    if model.sealed is None:
        return ""
    return "\n  // The weights are encrypted: Options::key is needed, and memory_bytes hold them once they are open.\n"


def _opening(model: Model) -> str:
    if model.sealed is None:
        return ""
    return f"""\
constexpr unsigned char nonce[12] = {{{numbers(model.sealed.nonce)}}};
constexpr unsigned char tag[16] = {{{numbers(model.sealed.tag)}}};

/// Decrypts the weights into `out`; the key is wiped, whatever comes of it.
netglot::Status open_weights(unsigned char* key, unsigned char* out) {{
  if (key == nullptr) return netglot::Status::wrong_key;
  netglot::Sha256 hash;
  add_plan(hash);
  unsigned char aad[32];
  hash.finish(aad);
  const bool opened = netglot::open(key, nonce, aad, sizeof aad, {model.symbol}_weights, Model::weight_bytes, tag, out);
  netglot::wipe(key, 32);
  return opened ? netglot::Status::ok : netglot::Status::wrong_key;
}}

"""


def _opened(model: Model) -> str:
    if model.sealed is None:
        return ""
    return """\
  if (status_ == netglot::Status::ok) status_ = open_weights(options.key, memory_ + arena_bytes);
  else if (options.key != nullptr) netglot::wipe(options.key, 32);
  weights_ = memory_ + arena_bytes;
"""


def _forget(model: Model) -> str:
    return "  if (memory_ != nullptr) netglot::wipe(memory_, memory_bytes);\n" if model.sealed else ""


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


def _c_functions(model: Model) -> str:
    name, kind = model.symbol, f"{model.namespace}::Model"
    return f"""\
struct {name}_model {{
  {kind} model;
}};

{name}_model* {name}_create(unsigned char* key) {{
  netglot::Options options;
  options.key = key;
  return new (std::nothrow) {name}_model{{{kind}(options)}};
}}

int {name}_status(const {name}_model* model) {{ return static_cast<int>(model->model.status()); }}

int {name}_run({name}_model* model, const void* const* inputs, void* const* outputs) {{
  return static_cast<int>(model->model.run(inputs, outputs));
}}

void {name}_destroy({name}_model* model) {{ delete model; }}
"""


def _casts(array: str, const: str, members: Sequence[Member]) -> str:
    return ", ".join(f"static_cast<{const}{m.type}*>({array}[{i}])" for i, m in enumerate(members))


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


# ----------------------------------------------------------------------- layers

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


# ---------------------------------------------------------------------- weights


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
alignas({ALIGNMENT}) const unsigned char {model.symbol}_weights[] = {{
#include "weights_array.h"
}};
#else
#include "incbin.h"
NETGLOT_INCBIN({model.symbol}_weights, NETGLOT_WEIGHTS)
#endif

namespace {model.namespace} {{

const std::uint32_t plan[{len(model.plan)}] = {{{plan}
}};

}}  // namespace {model.namespace}
"""
