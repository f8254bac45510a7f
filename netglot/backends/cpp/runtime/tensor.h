// What a model says of its inputs and outputs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace netglot {

struct Tensor {
  const char* name;          ///< in the source model
  const char* file;          ///< the name made safe for a file (used by the example program)
  const char* dtype;         ///< element type as NumPy writes it: <f4 is float
  std::size_t rank;          ///< number of axes
  const std::size_t* shape;  ///< size of each axis
  std::size_t bytes;         ///< of all elements
};

}  // namespace netglot
