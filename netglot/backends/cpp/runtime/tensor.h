// What a model says of its inputs and outputs, and what it is told when it is made.
#ifndef NETGLOT_TENSOR_H  // and no #pragma once: each model's folder has this file
#define NETGLOT_TENSOR_H

#include <cstddef>
#include <cstdint>

#include "parallel.h"

namespace netglot {

struct Tensor {
  const char* name;          ///< in the source model
  const char* file;          ///< the name made safe for a file (used by the example program)
  const char* dtype;         ///< element type as NumPy writes it: <f4 is float
  std::size_t rank;          ///< number of axes
  const std::size_t* shape;  ///< size of each axis
  std::size_t bytes;         ///< of all elements
  float scale;               ///< of a quantised tensor: (element - zero_point) * scale; 0 for all others
  int zero_point;
};

/// What became of making or running a model.
enum class Status : int {
  ok = 0,
  no_memory = 1,  ///< there is not enough of it, or what was given is not aligned to 64 bytes
  corrupted = 2,  ///< the weights or the memory plan are not those that were written
  wrong_key = 3,  ///< the weights are encrypted, and not with this key
};

/// The instructions that a model may use.
enum class Level : int {
  baseline = 0,  ///< what every processor of the family has
  avx2 = 1,      ///< with FMA and F16C
  avx512 = 2,    ///< F, BW, DQ and VL
  best = 99,     ///< whatever this processor has
};

struct Options {
  Level level = Level::best;     ///< at most
  Parallel parallel = {};        ///< the application's own parallel loop; by default the model's own threads, if any.
                                 ///< One with more workers than Model::threads is not used: one thread does it all
  unsigned char* key = nullptr;  ///< of an encrypted model: 32 bytes, which are wiped
};

}  // namespace netglot

#endif  // NETGLOT_TENSOR_H
