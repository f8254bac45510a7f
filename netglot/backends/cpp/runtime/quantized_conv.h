// Convolutions and matrix products of 8-bit numbers.
#pragma once

#include "parallel.h"
#include "quantized.h"
#include "shapes.h"

namespace NETGLOT_NAMESPACE {

#if NETGLOT_LANES == 16 || defined(NETGLOT_X86)
constexpr Index byte_tile_vectors = 2;
#else
constexpr Index byte_tile_vectors = 4;
#endif
constexpr Index byte_tile_columns = byte_tile_vectors * lanes;

/// Bytes of depth that are read at once; weights are padded to them.
constexpr Index padded_depth(Index channels) { return (channels + 3) / 4 * 4; }

constexpr Index padded_line(Index bytes) { return (bytes + 63) / 64 * 64; }

constexpr Index padded_panels(Index channels) { return (channels + panel - 1) / panel * panel; }

/// Outputs of float, `columns` of them.
NETGLOT_TARGET NETGLOT_INLINE void store_real(Byte* y, Floats v, Index columns) {
  if (columns >= lanes) return store(reinterpret_cast<float*>(y), v);
  store_part(reinterpret_cast<float*>(y), v, columns);
}

/// Rows x (Vectors * lanes) sums of 8-bit products. w holds, for each four steps of the depth, four bytes for each of
/// `panel` output channels; the next panel begins `next` bytes after this one.
template <bool Dot, Index Rows, Index Vectors>
struct ByteTile {
  Ints sum[Rows][Vectors];

  NETGLOT_TARGET NETGLOT_INLINE void start(const std::int32_t* bias) {
    NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) {
      const Ints start = load_ints(bias + v * lanes);
      NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) sum[r][v] = start;
    }
  }

  /// sum[r] += rows[r][0...depth-1] times w
  NETGLOT_TARGET NETGLOT_INLINE void add(const Byte* const* rows, Index depth, Ints flip, const std::int8_t* w,
                                         Index next) {
    const Byte* x[Rows];
    NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) x[r] = rows[r];
    for (Index k = 0; k < depth; k += 4) {
      Factors<Dot> column[Vectors];
      NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v)
          column[v] = split_w<Dot>(load_ints(w + v * lanes / panel * next + k * panel + v * lanes % panel * 4));
      NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) {
        const Factors<Dot> row = split_x<Dot>(splat_four(x[r] + k) ^ flip);
        NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) sum[r][v] = dot<Dot>(sum[r][v], row, column[v]);
      }
    }
  }

  /// `columns` outputs of each row, as float or as bytes.
  NETGLOT_TARGET NETGLOT_INLINE void finish_real(Byte* const* y, Index columns, const float* scale) {
    NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) {
      const Floats factor = load(scale + v * lanes);
      if (columns <= v * lanes) return;
      NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r)
          store_real(y[r] + v * lanes * Index(sizeof(float)), to_floats(sum[r][v]) * factor, columns - v * lanes);
    }
  }

  NETGLOT_TARGET NETGLOT_INLINE void finish(Byte* const* y, Index columns, const float* scale, const Limits& limits) {
    NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) {
      const Floats factor = load(scale + v * lanes);
      const Index here = columns - v * lanes;
      if (here >= lanes) {
        NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) store_bytes(y[r] + v * lanes, limits(sum[r][v], factor));
      } else if (here > 0) {
        NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r)
            store_bytes_part(y[r] + v * lanes, limits(sum[r][v], factor), here);
      }
    }
  }
};

/// A convolution as its tasks see it. The rows of its matrix product are the pixels of y.
struct ByteConv {
  const Byte* x;
  const std::int8_t* weights;
  Byte* y;
  Requantize to;
  Window window;
  Byte flip, pad;          ///< pad: what x holds outside of the image, its zero point
  Byte* scratch;           ///< scratch_size bytes for each worker
  Index scratch_size;
  Index rows, block;       ///< rows of a tile and of a task
  Index taps, depth;       ///< pixels under the kernel, and bytes of each
  Index columns;           ///< output channels of a task
  Index column_tasks;      ///< tasks with the same rows
  Index passes;            ///< weights are the sum of as many
  Index y_size;            ///< bytes of one output: one, or four for floats
  bool direct, gathered;   ///< rows lie one after the other in x, or are copied together
};

constexpr Index most_block_tiles = 8;

/// Tile heights that there is code for.
constexpr bool tile_height(bool dot, Index rows) {
#if NETGLOT_LANES == 16
  if (dot) return rows == 14 || rows == 13 || rows == 12 || rows == 10 || rows == 7 || rows == 4 || rows == 1;
  return rows == 7 || rows == 4 || rows == 1;
#elif NETGLOT_LANES == 4 && !defined(NETGLOT_X86)
  if (dot) return rows == 6 || rows == 5 || rows == 4 || rows == 1;
  return rows == 4 || rows == 1;
#elif NETGLOT_LANES > 1
  return (rows == 4 || rows == 3 || rows == 1) && !dot;
#else
  return (rows == 2 || rows == 1) && !dot;
#endif
}

constexpr Index most_tile_rows = 14;

/// The tile height that computes `count` rows with the least effort: low tiles read weights more often.
inline Index best_rows(bool dot, Index count) {
  Index best = 1, least = 0;
  for (Index rows = 1; rows <= most_tile_rows; ++rows) {
    if (!tile_height(dot, rows)) continue;
    const Index effort = (count + rows - 1) / rows * (rows + 1);
    if (least == 0 || effort <= least) best = rows, least = effort;
  }
  return best;
}

/// Whether the pixels under the kernel are copied together, as one long pixel: where their bytes are no multiple of four.
constexpr bool is_gathered(Index depth) { return depth % 4 != 0; }

/// Bytes of working memory for each worker: a block of gathered pixels, or of pointers to pixels.
constexpr Index byte_conv_scratch(Index taps, Index channels, Index groups) {
  const Index rows = most_tile_rows * most_block_tiles, depth = channels / groups;
  if (is_gathered(depth)) return padded_line(rows * padded_depth(taps * depth));
  return padded_line(channels) + padded_line(rows * taps * Index(sizeof(Byte*)));
}

/// Where the kernel lies for one pixel of y.
struct Place {
  Index image, top, left;

  Place(const Window& w, Index row)
      : image(row / w.out_width / w.out_height * w.height),
        top(row / w.out_width % w.out_height * w.stride_y - w.pad_top),
        left(row % w.out_width * w.stride_x - w.pad_left) {}

  /// The first byte of the pixel under one tap; `outside` if it is outside of the image.
  const Byte* at(const ByteConv& c, Index ky, Index kx, const Byte* outside) const {
    const Window& w = c.window;
    const Index y = top + ky * w.dilation_y, x = left + kx * w.dilation_x;
    const bool inside = y >= 0 && y < w.height && x >= 0 && x < w.width;
    return inside ? c.x + ((image + y) * w.width + x) * w.channels : outside;
  }
};

/// Fills table[tap * block + row] with the pixels of a block of rows; rows after the last are the last again.
inline void point_at_pixels(const ByteConv& c, Byte* outside, const Byte** table, Index group, Index first, Index last) {
  const Window& w = c.window;
  std::memset(outside, c.pad, std::size_t(w.channels));
  for (Index i = 0; i < c.block; ++i) {
    const Place place(w, first + i < last ? first + i : last);
    for (Index ky = 0; ky < w.kernel_height; ++ky)
      for (Index kx = 0; kx < w.kernel_width; ++kx)
        table[(ky * w.kernel_width + kx) * c.block + i] = place.at(c, ky, kx, outside) + group * c.depth;
  }
}

/// Copies the pixels under the kernel together for a block of rows.
inline void gather_pixels(const ByteConv& c, Byte* to, Index group, Index first, Index last) {
  const Window& w = c.window;
  const Index run = w.kernel_width * c.depth, step = padded_depth(w.kernel_height * run);
  const bool dense = w.dilation_x == 1 && w.groups == 1;
  for (Index i = 0; i < c.block && first + i <= last; ++i, to += step) {
    const Place place(w, first + i);
    const bool whole = dense && place.left >= 0 && place.left + w.kernel_width <= w.width;
    Byte* at = to;
    for (Index ky = 0; ky < w.kernel_height; ++ky) {
      const Byte* pixel = whole ? place.at(c, ky, 0, nullptr) : nullptr;
      if (pixel != nullptr) {
        at = copied(at, pixel, run);
        continue;
      }
      for (Index kx = 0; kx < w.kernel_width; ++kx, at += c.depth) {
        const Byte* one = place.at(c, ky, kx, nullptr);
        if (one == nullptr) {
          std::memset(at, c.pad, std::size_t(c.depth));
        } else {
          copied(at, one + group * c.depth, c.depth);
        }
      }
    }
    while (at < to + step) *at++ = 0;
  }
}

/// The rows of x for a block: one after the other from `start`, or where a table says.
struct ByteRows {
  const Byte* start;
  Index step;
  const Byte* const* table;
};

template <bool Dot, Index Rows, Index Vectors>
NETGLOT_TARGET void byte_tile(const ByteConv& c, const ByteRows& x, Index group, Index column, Index first, Index i,
                              Index last) {
  const Index outputs = c.window.out_channels / c.window.groups, padded = padded_panels(outputs);
  const Index pass = c.taps * c.depth * panel, next = c.passes * pass, at = group * padded + column;
  const std::int8_t* w = c.weights + at / panel * next + at % panel * 4;
  const Ints flip = splat_byte(c.flip);
  const Byte* rows[Rows];
  Byte* y[Rows];
  for (Index r = 0; r < Rows; ++r) {
    const Index row = first + i + r < last ? i + r : last - first;  // the last again, where the tile is too high
    rows[r] = x.start + row * x.step;
    y[r] = c.y + ((first + row) * c.window.out_channels + group * outputs + column) * c.y_size;
  }
  ByteTile<Dot, Rows, Vectors> tile;
  tile.start(bias_for(c.to, c.window.groups * padded) + at);
  for (Index p = 0; p < c.passes; ++p, w += pass) {
    if (x.table == nullptr) {
      tile.add(rows, c.depth, flip, w, next);
    } else {
      for (Index tap = 0; tap < c.taps; ++tap)
        tile.add(x.table + tap * c.block + i, c.depth, flip, w + tap * c.depth * panel, next);
    }
  }
  if (c.y_size > 1) return tile.finish_real(y, outputs - column, c.to.scale + at);
  tile.finish(y, outputs - column, c.to.scale + at, Limits(c.to));
}

template <bool Dot, Index Rows>
NETGLOT_TARGET void byte_block(const ByteConv& c, const ByteRows& x, Index group, Index first, Index column,
                               Index stop) {
  const Index last = c.window.batch * c.window.out_height * c.window.out_width - 1;
  for (; column < stop; column += byte_tile_columns) {
    for (Index i = 0; i < c.block && first + i <= last; i += Rows) {
      if constexpr (lanes == panel) {
        if (column + lanes >= stop) {
          byte_tile<Dot, Rows, 1>(c, x, group, column, first, i, last);
          continue;
        }
      }
      byte_tile<Dot, Rows, byte_tile_vectors>(c, x, group, column, first, i, last);
    }
  }
}

/// byte_block for the height of tiles that was chosen.
template <bool Dot, Index Rows = most_tile_rows>
NETGLOT_TARGET void byte_block_of(const ByteConv& c, const ByteRows& x, Index group, Index first, Index column,
                                  Index stop) {
  if constexpr (Rows > 0) {
    if constexpr (tile_height(Dot, Rows)) {
      if (c.rows == Rows) return byte_block<Dot, Rows>(c, x, group, first, column, stop);
    }
    byte_block_of<Dot, Rows - 1>(c, x, group, first, column, stop);
  }
}

template <bool Dot>
NETGLOT_TARGET void byte_conv_task(void* context, Index task, Index worker) {
  const ByteConv& c = *static_cast<const ByteConv*>(context);
  const Window& w = c.window;
  const Index column = task % c.column_tasks * c.columns, block = task / c.column_tasks, outputs = w.out_channels / w.groups;
  const Index stop = column + c.columns < outputs ? column + c.columns : outputs;
  const Index group = block % w.groups, first = block / w.groups * c.block;
  const Index last = w.batch * w.out_height * w.out_width - 1;
  Byte* const scratch = c.scratch + worker * c.scratch_size;
  if (c.direct) {
    const ByteRows rows{c.x + first * w.channels + group * c.depth, w.channels, nullptr};
    byte_block_of<Dot>(c, rows, group, first, column, stop);
  } else if (c.gathered) {
    gather_pixels(c, scratch, group, first, last);
    ByteConv whole = c;
    whole.depth = padded_depth(c.taps * c.depth);
    whole.taps = 1;
    byte_block_of<Dot>(whole, {scratch, whole.depth, nullptr}, group, first, column, stop);
  } else {
    const Byte** table = reinterpret_cast<const Byte**>(scratch + padded_line(c.depth * w.groups));
    point_at_pixels(c, scratch, table, group, first, last);
    byte_block_of<Dot>(c, {c.x, 0, table}, group, first, column, stop);
  }
}

/// y = the convolution of x with w, of images of 8-bit numbers that are stored with channels last; y may be of floats.
///
/// w: for each group and 16 of its output channels [passes][taps][channels / 4][16][4], with zeros as padding; where a
/// tap's channels are no multiple of four, [passes][taps * channels / 4][16][4]. Weights that need more than 8 bits are
/// sums of two `passes`. `zero`: the zero point of x. `dot`: whether the processor multiplies and adds four bytes at
/// once. `scratch`: byte_conv_scratch() bytes for each worker.
template <class T, class Y>
void quantized_conv(const Parallel& parallel, bool dot, const T* x, const std::int8_t* w, Index passes, Y* y,
                    const Window& window, const Requantize& to, std::int32_t zero, void* scratch) {
  const Index count = window.batch * window.out_height * window.out_width, depth = window.channels / window.groups;
  const Index outputs = window.out_channels / window.groups, taps = window.kernel_height * window.kernel_width;
  dot = dot && has_dot;
  ByteConv c;
  c.x = reinterpret_cast<const Byte*>(x);
  c.weights = w;
  c.y = reinterpret_cast<Byte*>(y);
  c.to = to;
  c.window = window;
  c.flip = flip_of<T>;
  c.pad = Byte(zero);
  c.scratch = static_cast<Byte*>(scratch);
  c.scratch_size = byte_conv_scratch(taps, window.channels, window.groups);
  c.rows = best_rows(dot, count);
  c.taps = taps;
  c.depth = depth;
  c.passes = passes;
  c.y_size = Index(sizeof(Y));
  c.columns = outputs;
  c.gathered = is_gathered(depth);
  c.direct = !c.gathered && taps == 1 && window.stride_y == 1 && window.stride_x == 1 && window.pad_top == 0 &&
             window.pad_left == 0 && window.out_height == window.height && window.out_width == window.width;
  // A block of rows is used with all weights: what it reads of x should stay in the first cache.
  const Index tiles = 20480 / (c.rows * depth * (c.gathered ? taps : taps > 1 ? 3 : 1));
  c.block = c.rows * (tiles < 1 ? 1 : tiles > most_block_tiles ? most_block_tiles : tiles);
  const Index blocks = (count + c.block - 1) / c.block * window.groups;
  if (blocks < 2 * parallel.workers && !c.gathered) c.columns = 2 * panel;
  c.column_tasks = (outputs + c.columns - 1) / c.columns;
  if constexpr (has_dot) {
    if (dot) return for_each(parallel, blocks * c.column_tasks, byte_conv_task<true>, &c);
  }
  for_each(parallel, blocks * c.column_tasks, byte_conv_task<false>, &c);
}

}  // namespace NETGLOT_NAMESPACE
