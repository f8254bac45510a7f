// Products of matrices that are both computed. (If the second is constant, it is packed at conversion, and the product
// is a convolution of pixels: conv.h.)
#pragma once

#include "conv.h"

namespace NETGLOT_NAMESPACE {

/// y[i] = a[i] b[i] for each i of up to three axes, along which a and b have their own steps (0 where broadcast).
struct Matrices {
  Index sizes[3], a_steps[3], b_steps[3];
  Index rows, depth, columns;  ///< of y, of the sums, of y
  Index a_row, a_column;       ///< floats from row to row and from column to column
  Index b_row, b_column;

  constexpr Index count() const { return sizes[0] * sizes[1] * sizes[2]; }
  constexpr Index padded() const { return (columns + panel - 1) / panel * panel; }
  constexpr bool a_is_dense() const { return a_row == depth && a_column == 1; }

  /// Floats that each worker needs to pack its matrices.
  constexpr Index scratch() const { return depth * padded() + (a_is_dense() ? 0 : rows * depth); }

  constexpr Index at(Index i, const Index* steps) const {
    return i % sizes[2] * steps[2] + i / sizes[2] % sizes[1] * steps[1] + i / sizes[2] / sizes[1] * steps[0];
  }
};

/// b as panels of columns, with zeros after the last one.
NETGLOT_TARGET inline void pack_columns(const Matrices& m, const float* b, float* to) {
  for (Index column = 0; column < m.columns; column += panel) {
    const Index left = m.columns - column, count = left < panel ? left : panel;
    for (Index k = 0; k < m.depth; ++k, to += panel) {
      const float* const from = b + k * m.b_row + column * m.b_column;
      if (m.b_column == 1 && count == panel) {
        std::memcpy(to, from, panel * sizeof(float));
        continue;
      }
      for (Index i = 0; i < panel; ++i) to[i] = i < count ? from[i * m.b_column] : 0;
    }
  }
}

inline void pack_rows(const Matrices& m, const float* a, float* to) {
  for (Index row = 0; row < m.rows; ++row)
    for (Index k = 0; k < m.depth; ++k) *to++ = a[row * m.a_row + k * m.a_column];
}

struct MatricesTask {
  const Matrices& m;
  const Finish& finish;
  const After& after;
  const float *a, *b;
  float *scratch, *y;

  NETGLOT_TARGET void multiply(Index i, float* packed, const netglot::Parallel& parallel) const {
    const float* rows = a + m.at(i, m.a_steps);
    pack_columns(m, b + m.at(i, m.b_steps), packed);
    if (!m.a_is_dense()) {
      float* const dense = packed + m.depth * m.padded();
      pack_rows(m, rows, dense);
      rows = dense;
    }
    const Index at = i * m.rows * m.columns;
    const Window window{1, 1, m.rows, m.depth, 1, m.rows, m.columns, 1, 1, 1, 1, 0, 0, 1, 1, 1};
    const Finish one{finish.bias, finish.residual == nullptr ? nullptr : finish.residual + at, finish.low, finish.high};
    conv(window, one, rows, packed, nullptr, {nullptr, 0, 0}, y + at, parallel, after);
  }

  NETGLOT_TARGET static void run(void* context, Index i, Index worker) {
    const MatricesTask& task = *static_cast<const MatricesTask*>(context);
    task.multiply(i, task.scratch + worker * task.m.scratch(), {});
  }
};

/// y = limited(a b + bias + residual), and what follows; bias has whole panels.
NETGLOT_TARGET inline void matmul(const Matrices& m, const Finish& finish, const float* a, const float* b,
                                  float* scratch, float* y, const netglot::Parallel& parallel,
                                  const After& after = {nullptr, nullptr}) {
  MatricesTask task{m, finish, after, a, b, scratch, y};
  if (m.count() == 1) return task.multiply(0, scratch, parallel);
  netglot::for_each(parallel, m.count(), task.run, &task);
}

}  // namespace NETGLOT_NAMESPACE
