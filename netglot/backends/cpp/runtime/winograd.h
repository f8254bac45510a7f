// Convolution with kernels of 3x3 by Winograd's minimal filtering (Lavin and Gray, arXiv:1509.09308): a tile of outputs
// takes one product for each element of the transformed tile (36 for 4x4 outputs, 16 for 2x2) instead of nine for each
// output. What remains is a matrix product for each element: tiles x channels times channels x output channels.
#pragma once

#include "conv.h"

namespace NETGLOT_NAMESPACE {

constexpr Index winograd_part = 32;            // output channels that are computed together
constexpr Index winograd_memory = 384 * 1024;  // bytes that a block should take at most, to stay in the L2 cache; but
constexpr Index winograd_tiles = 28;           // so many tiles pay even beyond it: each block reads all weights again

/// How a convolution is cut: into blocks of tiles (of 4x4 or 2x2 outputs), the transforms of which fit into the cache.
/// Strides are odd numbers of cache lines, so that what is used together doesn't compete for the same part of a cache.
struct WinogradBlocks {
  Index tiles_y, tiles_x, tiles;       ///< along an image's height and width, and of all images
  Index block, blocks;                 ///< tiles in a block, and blocks
  Index row;                           ///< floats from a tile to the next one: its channels
  Index input_stride, product_stride;  ///< floats from an element of the transformed tiles to the next one
  Index zeros;                         ///< floats that stand for the channels of the padding
};

constexpr Index odd_lines(Index floats) { return ((floats + 15) / 16 | 1) * 16; }

constexpr WinogradBlocks winograd_blocks(const Window& window, Index output) {
  WinogradBlocks b{};
  b.tiles_y = (window.out_height + output - 1) / output;
  b.tiles_x = (window.out_width + output - 1) / output;
  b.tiles = window.batch * b.tiles_y * b.tiles_x;
  b.row = odd_lines(window.channels);
  const Index fitting = winograd_memory / 4 / ((output + 2) * (output + 2) * (b.row + winograd_part));
  const Index most = fitting > winograd_tiles ? fitting / winograd_tiles * winograd_tiles : winograd_tiles;
  b.blocks = (b.tiles + most - 1) / most;
  b.block = (b.tiles + b.blocks - 1) / b.blocks;
  b.input_stride = odd_lines(b.block * b.row);
  b.product_stride = odd_lines(b.block * winograd_part);
  b.zeros = (window.channels + 15) / 16 * 16;
  return b;
}

/// How many floats of working memory each worker needs.
constexpr Index winograd_scratch(const Window& window, Index output) {
  const WinogradBlocks b = winograd_blocks(window, output);
  return b.zeros + (output + 2) * (output + 2) * (b.input_stride + b.product_stride);
}

/// What the tasks of a convolution share.
struct WinogradTask {
  const Window& window;
  const Finish& finish;
  const float *x, *u;
  float *y, *scratch;
  const After& after;
  Index splits;  ///< tasks for each block, which share its output channels
};

/// Transforms of one row or column. The weights are transformed at conversion (winograd.py).
template <Index Output>
struct Winograd;

/// F(2, 3) by the points 0, 1, -1 and infinity.
template <>
struct Winograd<2> {
  NETGLOT_TARGET static NETGLOT_INLINE void input(const Floats* x, Floats* v) {
    v[0] = x[2] - x[0];
    v[1] = x[2] + x[1];
    v[2] = x[2] - x[1];
    v[3] = x[3] - x[1];
  }

  NETGLOT_TARGET static NETGLOT_INLINE void output(const Floats* p, Floats* y) {
    y[0] = p[0] + (p[1] + p[2]);
    y[1] = p[3] + (p[1] - p[2]);
  }
};

/// F(4, 3) by the points 0, a, -a, b, -b and infinity. With a = 5/8 and b = 3/2 rounding errors are a third of those of
/// the usual 1 and 2, and all constants are exact.
template <>
struct Winograd<4> {
  static constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b, a3 = a2 * a, b3 = b2 * b;

  NETGLOT_TARGET static NETGLOT_INLINE void input(const Floats* x, Floats* v) {
    const Floats even_a = x[4] - x[2] * b2, odd_a = x[3] - x[1] * b2;
    const Floats even_b = x[4] - x[2] * a2, odd_b = x[3] - x[1] * a2;
    v[0] = even_b - (x[2] - x[0] * a2) * b2;
    v[1] = even_a + odd_a * a;
    v[2] = even_a - odd_a * a;
    v[3] = even_b + odd_b * b;
    v[4] = even_b - odd_b * b;
    v[5] = (x[5] - x[3] * a2) - odd_b * b2;
  }

  NETGLOT_TARGET static NETGLOT_INLINE void output(const Floats* p, Floats* y) {
    const Floats even_a = p[1] + p[2], odd_a = p[1] - p[2], even_b = p[3] + p[4], odd_b = p[3] - p[4];
    y[0] = p[0] + even_a + even_b;
    y[1] = odd_a * a + odd_b * b;
    y[2] = even_a * a2 + even_b * b2;
    y[3] = p[5] + odd_a * a3 + odd_b * b3;
  }
};

/// One vector of channels of one tile, transformed along both axes: from[i * size + j] points to the channels of one
/// element; the elements of the transformed tile are written `stride` apart. Unless `Whole`, there are only `count`
/// channels, which are followed by zeros.
template <Index Output, bool Whole>
NETGLOT_TARGET NETGLOT_INLINE void winograd_input(const float* const* from, Index c, Index count, float* to,
                                                  Index stride) {
  constexpr Index size = Output + 2;
  Floats columns[size][size];  // [column][row]
  NETGLOT_UNROLL for (Index j = 0; j < size; ++j) {
    Floats x[size];
    NETGLOT_UNROLL for (Index i = 0; i < size; ++i)
        x[i] = Whole ? load(from[i * size + j] + c) : load_part(from[i * size + j] + c, count);
    Winograd<Output>::input(x, columns[j]);
  }
  NETGLOT_UNROLL for (Index i = 0; i < size; ++i) {
    Floats x[size], v[size];
    NETGLOT_UNROLL for (Index j = 0; j < size; ++j) x[j] = columns[j][i];
    Winograd<Output>::input(x, v);
    NETGLOT_UNROLL for (Index j = 0; j < size; ++j) store(to + (i * size + j) * stride, v[j]);
  }
}

/// Transforms tiles first...first + count - 1 to v[element][tile][channel].
template <Index Output>
NETGLOT_TARGET inline void winograd_inputs(const Window& window, const WinogradBlocks& b, const float* x, Index first,
                                           Index count, const float* zeros, float* v) {
  constexpr Index size = Output + 2;
  const Index channels = window.channels;
  for (Index tile = 0; tile < count; ++tile, v += b.row) {
    const Index row = (first + tile) / b.tiles_x, image = row / b.tiles_y;
    const Index top = row % b.tiles_y * Output - window.pad_top;
    const Index left = (first + tile) % b.tiles_x * Output - window.pad_left;
    const float* from[size * size];
    for (Index i = 0; i < size; ++i) {
      const bool inside = top + i >= 0 && top + i < window.height;
      const Index at = (image * window.height + top + i) * window.width + left;
      for (Index j = 0; j < size; ++j) {
        const bool within = inside && left + j >= 0 && left + j < window.width;
        from[i * size + j] = within ? x + (at + j) * channels : zeros;
      }
    }
    Index c = 0;
    for (; c + lanes <= channels; c += lanes) winograd_input<Output, true>(from, c, lanes, v + c, b.input_stride);
    if (c == channels) continue;
    winograd_input<Output, false>(from, c, channels - c, v + c, b.input_stride);
  }
}

/// Products of `count` tiles (of Rows at most) with the weights of some output channels: p[row][channel] = sum of
/// v[row][c] * u[c][channel].
template <Index Rows, Index Vectors>
NETGLOT_TARGET inline void winograd_tile(Index count, const float* v, Index row, Index channels, const float* u,
                                         float* p) {
  const float* rows[Rows];
  NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) rows[r] = v + (r < count ? r : 0) * row;
  Tile<Rows, Vectors> tile;
  tile.clear();
  tile.add(rows, channels, u, channels * panel);
  NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) {
    if (r >= count) continue;
    NETGLOT_UNROLL for (Index i = 0; i < Vectors; ++i) store(p + r * winograd_part + i * lanes, tile.sum[r][i]);
  }
}

/// winograd_tile of the fewest rows. Only even numbers are compiled.
template <Index Vectors, Index Rows = tile_rows>
NETGLOT_TARGET inline void winograd_rows(Index count, const float* v, Index row, Index channels, const float* u,
                                         float* p) {
  if constexpr (Rows > 2) {
    if (count <= Rows - 2) return winograd_rows<Vectors, Rows - 2>(count, v, row, channels, u, p);
  }
  winograd_tile<Rows, Vectors>(count, v, row, channels, u, p);
}

/// One matrix product: p[tile][0...width-1] of `count` tiles.
NETGLOT_TARGET inline void winograd_product(const float* v, Index row, Index count, Index channels, const float* u,
                                            Index width, float* p) {
  const Index step = (even_rows(count) + 1) / 2 * 2;
  for (Index column = 0; column < width; column += tile_columns) {
    const float* w = u + column / panel * channels * panel + column % panel;
    for (Index r = 0; r < count; r += step) {
      const Index rows = count - r < step ? count - r : step;
      float* to = p + r * winograd_part + column;
      if constexpr (tile_columns > panel) {
        if (column + panel == width) {
          winograd_rows<1>(rows, v + r * row, row, channels, w, to);
          continue;
        }
      }
      winograd_rows<tile_vectors>(rows, v + r * row, row, channels, w, to);
    }
  }
}

/// One vector of output channels of one tile: p's elements are `stride` apart; `rows` x `columns` outputs are inside of
/// the image, the channel's first of which is y (and residual, unless null). `count` channels are stored.
template <Index Output>
NETGLOT_TARGET NETGLOT_INLINE void winograd_output(const float* p, Index stride, const float* bias,
                                                   const float* residual, Floats low, Floats high, float* y,
                                                   const Window& window, Index rows, Index columns, Index count) {
  constexpr Index size = Output + 2;
  Floats partial[Output][size];
  NETGLOT_UNROLL for (Index j = 0; j < size; ++j) {
    Floats x[size], v[Output];
    NETGLOT_UNROLL for (Index i = 0; i < size; ++i) x[i] = load(p + (i * size + j) * stride);
    Winograd<Output>::output(x, v);
    NETGLOT_UNROLL for (Index i = 0; i < Output; ++i) partial[i][j] = v[i];
  }
  const Floats offset = bias == nullptr ? Floats{} : load(bias);
  NETGLOT_UNROLL for (Index i = 0; i < Output; ++i) {
    if (i >= rows) continue;
    Floats v[Output];
    Winograd<Output>::output(partial[i], v);
    NETGLOT_UNROLL for (Index j = 0; j < Output; ++j) {
      if (j >= columns) continue;
      const Index at = (i * window.out_width + j) * window.out_channels;
      const float* const more = residual == nullptr ? nullptr : residual + at;
      if (count == lanes) {
        finish(y + at, more, v[j] + offset, low, high);
      } else {
        finish_part(y + at, more, v[j] + offset, low, high, count);
      }
    }
  }
}

/// Outputs of tiles first...first + count - 1, of the output channels from...from + width - 1.
template <Index Output>
NETGLOT_TARGET inline void winograd_outputs(const WinogradTask& all, const WinogradBlocks& b, const float* p,
                                            Index first, Index count, Index from, Index width) {
  const Window& window = all.window;
  const Finish& finish = all.finish;
  const Floats low = splat(finish.low), high = splat(finish.high);
  for (Index tile = 0; tile < count; ++tile, p += winograd_part) {
    const Index row = (first + tile) / b.tiles_x, image = row / b.tiles_y;
    const Index top = row % b.tiles_y * Output, left = (first + tile) % b.tiles_x * Output;
    const Index rows = window.out_height - top < Output ? window.out_height - top : Output;
    const Index columns = window.out_width - left < Output ? window.out_width - left : Output;
    const Index at = ((image * window.out_height + top) * window.out_width + left) * window.out_channels + from;
    for (Index m = 0; m < width; m += lanes) {
      const float* bias = finish.bias == nullptr ? nullptr : finish.bias + from + m;
      const float* residual = finish.residual == nullptr ? nullptr : finish.residual + at + m;
      winograd_output<Output>(p + m, b.product_stride, bias, residual, low, high, all.y + at + m, window, rows, columns,
                              width - m < lanes ? width - m : lanes);
    }
    if (all.after.apply == nullptr) continue;
    for (Index i = 0; i < rows * columns; ++i) {
      const Index place = i / columns * window.out_width + i % columns;
      all.after.apply(all.after.op, all.y + at + place * window.out_channels, width);
    }
  }
}

/// One block of tiles, and one of `splits` shares of the output channels.
template <Index Output>
NETGLOT_TARGET inline void winograd_block(void* context, Index task, Index worker) {
  constexpr Index size = Output + 2, elements = size * size;
  const WinogradTask& all = *static_cast<const WinogradTask*>(context);
  const Window& window = all.window;
  const WinogradBlocks b = winograd_blocks(window, Output);
  const Index first = task / all.splits * b.block, share = task % all.splits;
  const Index count = b.tiles - first < b.block ? b.tiles - first : b.block;
  const Index parts = (window.out_channels + winograd_part - 1) / winograd_part;
  const Index end = (share + 1) * parts / all.splits * winograd_part;

  float* zeros = all.scratch + worker * winograd_scratch(window, Output);
  float* v = zeros + b.zeros;
  float* p = v + elements * b.input_stride;
  for (Index i = 0; i < b.zeros; ++i) zeros[i] = 0;
  winograd_inputs<Output>(window, b, all.x, first, count, zeros, v);

  for (Index m = share * parts / all.splits * winograd_part; m < end; m += winograd_part) {
    const Index left = window.out_channels - m, width = left < winograd_part ? left : winograd_part;
    const Index padded = (width + panel - 1) / panel * panel;
    const float* u = all.u + elements * window.channels * m;
    for (Index e = 0; e < elements; ++e)
      winograd_product(v + e * b.input_stride, b.row, count, window.channels, u + e * window.channels * padded, padded,
                       p + e * b.product_stride);
    winograd_outputs<Output>(all, b, p, first, count, m, width);
  }
}

/// y = limited(x convolved with kernels of 3x3, + bias + residual), with stride 1, dilation 1 and one group, in tiles of
/// Output x Output. The transformed weights u are, for each `winograd_part` output channels, [element][panel][channel]
/// [output channel of the panel], the order in which they are read; bias is padded to whole panels; `scratch` has
/// winograd_scratch(window, Output) floats for each worker.
template <Index Output>
inline void conv_winograd(const Window& window, const Finish& finish, const float* x, const float* u, float* y,
                          float* scratch, const netglot::Parallel& parallel,
                          const After& after = {nullptr, nullptr}) {
  const Index blocks = winograd_blocks(window, Output).blocks;
  const Index parts = (window.out_channels + winograd_part - 1) / winograd_part;
  Index splits = (parallel.workers + blocks - 1) / blocks;  // where there are fewer blocks than workers
  if (splits > parts) splits = parts;
  WinogradTask task{window, finish, x, u, y, scratch, after, splits};
  netglot::for_each(parallel, blocks * splits, winograd_block<Output>, &task);
}

}  // namespace NETGLOT_NAMESPACE
