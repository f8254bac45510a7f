// The innermost part of every matrix product: a tile of the result, held in registers.
#pragma once

#include "simd.h"

namespace NETGLOT_NAMESPACE {

// The largest tile: as many accumulators as leave registers for a row of weights and one number of x.
#if NETGLOT_LANES == 16
constexpr Index tile_rows = 14, tile_vectors = 2;  // of 32 registers
#elif NETGLOT_LANES == 8
constexpr Index tile_rows = 6, tile_vectors = 2;  // of 16
#elif defined(NETGLOT_X86)
constexpr Index tile_rows = 6, tile_vectors = 2;  // of 16
#elif NETGLOT_LANES == 4
constexpr Index tile_rows = 6, tile_vectors = 4;  // of 32
#else
constexpr Index tile_rows = 2, tile_vectors = 4;
#endif
constexpr Index tile_columns = tile_vectors * lanes;
constexpr Index ahead = 1024;  // floats of weights that are on their way from memory

/// How many rows of `count` to compute at a time, so that the last tile is not much smaller than the others.
constexpr Index even_rows(Index count, Index most = tile_rows) {
  const Index tiles = (count + most - 1) / most;
  return (count + tiles - 1) / tiles;
}

/// Rows x (Vectors * lanes) sums. Columns are output channels: w holds, for each step of the depth, `panel` of them;
/// the next panel begins `next` floats after this one.
template <Index Rows, Index Vectors>
struct Tile {
  Floats sum[Rows][Vectors];

  NETGLOT_TARGET NETGLOT_INLINE void clear() {
    NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) {
      NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) sum[r][v] = Floats{};
    }
  }

  /// sum[r] += rows[r][0...depth-1] times w. Asks for the weights of the next few steps early: those of a large layer
  /// come from far, and the processor's own guesses end with each page of memory.
  NETGLOT_TARGET NETGLOT_INLINE void add(const float* const* rows, Index depth, const float* w, Index next) {
    const float* x[Rows];
    NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) x[r] = rows[r];
    for (Index k = 0; k < depth; ++k) {
      Floats column[Vectors];
      NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v)
          column[v] = load(w + v * lanes / panel * next + k * panel + v * lanes % panel);
#if NETGLOT_LANES > 1
      NETGLOT_UNROLL for (Index v = 0; v < Vectors; v += panel / lanes)
          __builtin_prefetch(w + v * lanes / panel * next + k * panel + ahead, 0, 2);
#endif
      NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) {
        NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) sum[r][v] += column[v] * x[r][k];
      }
    }
  }
};

}  // namespace NETGLOT_NAMESPACE
