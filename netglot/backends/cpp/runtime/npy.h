// The example program: runs a model on NumPy's .npy files.
#pragma once

#include "tensor.h"

namespace netglot {

/// A model as the example program sees it.
struct Program {
  const Tensor* inputs;
  std::size_t input_count;
  const Tensor* outputs;
  std::size_t output_count;
  void (*run)(const void* const* inputs, void* const* outputs);
};

/// --input NAME=FILE.npy ... --output-dir DIR: runs the model once; returns the program's exit code.
int run_on_files(int argc, char** argv, const Program& model);

}  // namespace netglot
