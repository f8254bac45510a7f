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
  void* (*create)(const Options& options) = nullptr;
  Status (*status)(const void* model) = nullptr;
  Status (*run)(void* model, const void* const* inputs, void* const* outputs) = nullptr;
  void (*destroy)(void* model) = nullptr;
  std::ptrdiff_t threads = 1;  ///< as many as the model can use
};

/// The class of a generated model as such a program.
template <class Model>
Program program() {
  Program made{Model::inputs(), Model::input_count, Model::outputs(), Model::output_count};
  made.create = [](const Options& options) -> void* { return new Model(options); };
  made.status = [](const void* model) { return static_cast<const Model*>(model)->status(); };
  made.run = [](void* model, const void* const* inputs, void* const* outputs) {
    return static_cast<Model*>(model)->run(inputs, outputs);
  };
  made.destroy = [](void* model) { delete static_cast<Model*>(model); };
  made.threads = Model::threads;
  return made;
}

/// Runs the model once, or times it, as --help says; returns the program's exit code.
int run_on_files(int argc, char** argv, const Program& model);

}  // namespace netglot
