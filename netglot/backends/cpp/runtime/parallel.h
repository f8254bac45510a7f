// Who runs the tasks of a layer: the calling thread, a small pool, or the application's own parallel loop.
#ifndef NETGLOT_PARALLEL_H  // and no #pragma once: each model's folder has this file
#define NETGLOT_PARALLEL_H

#include <cstddef>

namespace netglot {

struct Parallel {
  /// One task; `worker` (0 to workers - 1) tells whose scratch memory it may use.
  using Task = void (*)(void* context, std::ptrdiff_t task, std::ptrdiff_t worker);

  /// Runs task(context, i, worker) for i in 0...count-1, in any order; returns when all are done. May be null.
  void (*run)(void* pool, std::ptrdiff_t count, Task task, void* context) = nullptr;
  void* pool = nullptr;        ///< given back to `run`
  std::ptrdiff_t workers = 1;  ///< how many tasks may be running at once
};

/// Runs all tasks of a layer.
inline void for_each(const Parallel& parallel, std::ptrdiff_t count, Parallel::Task task, void* context) {
  if (parallel.run != nullptr && parallel.workers > 1 && count > 1) return parallel.run(parallel.pool, count, task, context);
  for (std::ptrdiff_t i = 0; i < count; ++i) task(context, i, 0);
}

}  // namespace netglot

#endif  // NETGLOT_PARALLEL_H
