// The example program: runs a model on NumPy's .npy files, or times it.
#pragma once

#include "tensor.h"

namespace netglot {

/// A model as the example program sees it.
struct Program {
  const Tensor* inputs;
  std::size_t input_count;
  const Tensor* outputs;
  std::size_t output_count;
  void* (*create)(const Options& options);
  Status (*status)(const void* model);
  Status (*run)(void* model, const void* const* inputs, void* const* outputs);
  void (*destroy)(void* model);
  std::ptrdiff_t threads = 1;  ///< as many as the model can use
};

/// Runs the model once, or times it, as --help says; returns the program's exit code.
int run_on_files(int argc, char** argv, const Program& model);

}  // namespace netglot
