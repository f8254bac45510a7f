"""model.cpp: how a model is made, proven, opened and run."""

from __future__ import annotations

from collections.abc import Sequence

from netglot.backends.cpp.entropy import WORKSPACE
from netglot.backends.cpp.model import Member, Model
from netglot.backends.cpp.nest import numbers


def source(model: Model) -> str:
    return f"""\
// {model.title}: how a model is made and run. Written by netglot.
#include "model.h"

#include <cstring>
#include <new>

#include "cpu.h"
#include "model_c.h"
#include "run.h"
{'#include "entropy.h"' + chr(10) if model.packed is not None else ""}\
{'#include "seal.h"' + chr(10) if model.sealed else ""}#include "sha256.h"

namespace {model.namespace} {{
namespace {{

/// Of the weights, as they are in the program, and the memory plan.
constexpr unsigned char digest[32] = {{{numbers(model.digest)}}};
{_unpacker_bytes(model)}
void add_plan(netglot::Sha256& hash) {{
  for (const std::uint32_t place : plan) {{
    unsigned char bytes[4];
    for (int i = 0; i < 4; ++i) bytes[i] = static_cast<unsigned char>(place >> 8 * i);
    hash.update(bytes, sizeof bytes);
  }}
}}

bool is_intact() {{
  netglot::Sha256 hash;
  hash.update({model.symbol}_weights, Model::stored_bytes);
  add_plan(hash);
  unsigned char found[32];
  hash.finish(found);
  return std::memcmp(found, digest, sizeof found) == 0;
}}

{_opening(model)}{_unpacking(model)}}}  // namespace

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
  const bool opened = netglot::open(key, nonce, aad, sizeof aad, {model.symbol}_weights, Model::stored_bytes, tag, out);
  netglot::wipe(key, 32);
  return opened ? netglot::Status::ok : netglot::Status::wrong_key;
}}

"""


def _unpacker_bytes(model: Model) -> str:
    if model.packed is None:
        return ""
    return f"""
/// At the beginning of the arena, while the weights are decoded.
constexpr std::size_t unpacker_bytes = {WORKSPACE};
"""


def _unpacking(model: Model) -> str:
    if model.packed is None:
        return ""
    wiped = "  netglot::wipe(memory, unpacker_bytes + Model::stored_bytes);\n" if model.sealed else ""
    return f"""\
/// Decodes the weights at `stored` behind the arena. What that takes lies in the arena, which no layer needs yet.
netglot::Status unpack_weights(unsigned char* memory, const unsigned char* stored) {{
  static_assert(sizeof(netglot::Unpacker) <= unpacker_bytes && unpacker_bytes <= Model::arena_bytes);
  netglot::Unpacker* const unpacker = new (memory) netglot::Unpacker;
  unsigned char* const out = memory + Model::arena_bytes;
  const bool is_good = unpacker->unpack(stored, Model::stored_bytes, out, Model::weight_bytes);
{wiped}  return is_good ? netglot::Status::ok : netglot::Status::corrupted;
}}

"""


def _opened(model: Model) -> str:
    """Decrypts, and then decodes; or the one that is needed."""
    if model.weights_are_in_place:
        return ""
    stored = f"{model.symbol}_weights"
    text = ""
    if model.sealed:
        stored = "memory_ + unpacker_bytes" if model.packed is not None else "memory_ + arena_bytes"
        text += f"""\
  if (status_ == netglot::Status::ok) status_ = open_weights(options.key, {stored});
  else if (options.key != nullptr) netglot::wipe(options.key, 32);
"""
    if model.packed is not None:
        text += f"  if (status_ == netglot::Status::ok) status_ = unpack_weights(memory_, {stored});\n"
    return f"{text}  weights_ = memory_ + arena_bytes;\n"


def _forget(model: Model) -> str:
    return "  if (memory_ != nullptr) netglot::wipe(memory_, memory_bytes);\n" if model.sealed else ""


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
