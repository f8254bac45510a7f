// Convolution of channels-last images as an implicit product of matrices: a row is the window of one output pixel, a
// column an output channel. Windows are not copied; a tile reads them through pointers.
#pragma once

#include "parallel.h"
#include "shapes.h"
#include "tile.h"
#include "weights.h"

namespace NETGLOT_NAMESPACE {

/// Working memory of each worker (packing.py): floats for copies of windows, which no layer needs, but some are faster
/// with; and for weights that are not stored as floats, of which it holds the panels that a tile needs.
struct Scratch {
  float* data;
  Index copies, weights = 0;

  NETGLOT_INLINE float* of(Index worker) const { return data + worker * (copies + weights); }
};

constexpr Index near_floats = 1 << 16;  // what stays in the L2 cache beside what streams through it
constexpr Index most_runs = 64;         // runs that are looked up at a time
constexpr Index same_sets = 1024;       // rows that are so many floats apart compete for the same few lines of L1
constexpr Index wide_vectors = 4;       // of a tile that has only one row

/// What follows: y = op(y) for `count` outputs that have just been written; or null.
struct After {
  void (*apply)(const void* op, float* y, Index count);
  const void* op;
};

/// What all tiles of a layer share.
struct Product {
  const Window window;
  const Finish finish;
  const float* const x;
  const Weights w;
  const float* const zeros;
  float* const y;
  const Scratch scratch;
  const After after;
  Index pixels, rows, tiles;     ///< output pixels of the batch; how many are a tile; how many tiles that makes
  Index block, blocks;           ///< tiles that are multiplied by the same weights before the next weights
  Index strip, strips;           ///< columns of a task
  Index columns, channels, depth;  ///< of a group: output channels, input channels, elements of a window
  Index pitch;                   ///< floats from one copied window to the next
  bool pointwise, crowded;       ///< neighbouring windows compete for the same lines of L1
};

/// The windows of a tile: one pixel each.
struct Windows {
  Index count;
  bool inside, whole;                     ///< none reaches into the padding; each is one run
  const float* base;                      ///< of x, or of copies
  Index offset[tile_rows];                ///< of the first element, from `base`
  Index top[tile_rows], left[tile_rows];  ///< of the first element, in the image
};

/// Each window is several runs of `depth` numbers that lie together.
struct Runs {
  bool complete = false;  ///< all runs of the windows are here
  Index count, depth;
  const float* rows[most_runs][tile_rows];
};

/// Whether a window is one pixel, and there is one for each pixel of the image.
inline bool is_pointwise(const Window& w) {
  return w.kernel_height * w.kernel_width == 1 && w.out_height == w.height && w.out_width == w.width &&
         w.stride_y * w.stride_x == 1 && w.pad_top == 0 && w.pad_left == 0;
}

NETGLOT_TARGET inline void windows_at(const Product& p, Index tile, Index group, Windows& result) {
  const Window& w = p.window;
  const Index first = tile * p.rows, left = p.pixels - first;
  result.count = left < p.rows ? left : p.rows;
  result.inside = true;
  result.whole = false;
  result.base = p.x;
  if (p.pointwise) {
    for (Index r = 0; r < result.count; ++r) {
      result.top[r] = result.left[r] = 0;  // of an image of this pixel alone
      result.offset[r] = (first + r) * w.channels + group * p.channels;
    }
    return;
  }
  const Index bottom = w.height - (w.kernel_height - 1) * w.dilation_y;
  const Index right = w.width - (w.kernel_width - 1) * w.dilation_x;
  Index line = first / w.out_width, column = first - line * w.out_width;
  for (Index r = 0; r < result.count;) {
    const Index image = line / w.out_height, top = (line - image * w.out_height) * w.stride_y - w.pad_top;
    Index at = column * w.stride_x - w.pad_left;
    Index offset = ((image * w.height + top) * w.width + at) * w.channels + group * p.channels;
    result.inside &= top >= 0 && top < bottom && at >= 0;
    for (; column < w.out_width && r < result.count; ++column, ++r) {
      result.top[r] = top;
      result.left[r] = at;
      result.offset[r] = offset;
      at += w.stride_x;
      offset += w.stride_x * w.channels;
    }
    result.inside &= at - w.stride_x < right;
    column = 0;
    ++line;
  }
}

/// Whether what lies side by side in a window does so in the image too.
inline bool is_dense(const Window& w) { return w.groups == 1 && w.dilation_x == 1; }

/// Looks up some runs of all windows, beginning with run `first`; returns whether more are left after them.
NETGLOT_TARGET inline bool look_up(const Product& p, const Windows& windows, Index first, Runs& runs) {
  const Window& w = p.window;
  const bool dense = windows.whole || (windows.inside && is_dense(w));
  const Index across = dense ? 1 : w.kernel_width, all = windows.whole ? 1 : across * w.kernel_height;
  runs.count = all - first < most_runs ? all - first : most_runs;
  runs.complete = runs.count == all;
  runs.depth = windows.whole ? p.depth : dense ? w.kernel_width * p.channels : p.channels;
  Index ky = first / across, kx = first % across;
  for (Index i = 0; i < runs.count; ++i) {
    const float** const rows = runs.rows[i];
    const Index dy = ky * w.dilation_y, dx = kx * w.dilation_x, shift = (dy * w.width + dx) * w.channels;
    if (windows.inside) {
      for (Index r = 0; r < windows.count; ++r) rows[r] = windows.base + (windows.offset[r] + shift);
    } else {
      for (Index r = 0; r < windows.count; ++r) {
        const bool is_y = std::size_t(windows.top[r] + dy) < std::size_t(w.height);
        const bool is_x = std::size_t(windows.left[r] + dx) < std::size_t(w.width);
        rows[r] = (is_y & is_x) ? windows.base + (windows.offset[r] + shift) : p.zeros;
      }
    }
    for (Index r = windows.count; r < tile_rows; ++r) rows[r] = rows[0];  // computed for nothing, not stored
    if (++kx < across) continue;
    kx = 0;
    ++ky;
  }
  return first + runs.count < all;
}

/// Copies line `ky` of a window, with zeros where it reaches into the padding.
inline void copy_line(const Product& p, const Windows& windows, Index r, Index ky, float* to) {
  const Window& w = p.window;
  const Index dy = ky * w.dilation_y, y = windows.top[r] + dy, left = windows.left[r];
  const float* const from = p.x + windows.offset[r] + dy * w.width * w.channels;
  const Index size = w.kernel_width * p.channels;
  if (y < 0 || y >= w.height) {
    for (Index i = 0; i < size; ++i) to[i] = 0;
  } else if (left >= 0 && left + w.kernel_width <= w.width && is_dense(w)) {
    std::memcpy(to, from, size_t(size) * sizeof(float));
  } else {
    for (Index kx = 0; kx < w.kernel_width; ++kx) {
      const Index dx = kx * w.dilation_x;
      const bool inside = left + dx >= 0 && left + dx < w.width;
      const float* const element = inside ? from + dx * w.channels : p.zeros;
      for (Index c = 0; c < p.channels; ++c) *to++ = element[c];
    }
  }
}

inline void copy_windows(const Product& p, const Windows& windows, float* to) {
  for (Index r = 0; r < windows.count; ++r)
    for (Index ky = 0; ky < p.window.kernel_height; ++ky)
      copy_line(p, windows, r, ky, to + r * p.pitch + ky * p.window.kernel_width * p.channels);
}

/// The same windows, as they were copied.
inline void use_copies(const Product& p, Windows& windows, const float* copies) {
  windows.inside = windows.whole = true;
  windows.base = copies;
  for (Index r = 0; r < windows.count; ++r) windows.offset[r] = r * p.pitch;
}

/// Where the outputs of a tile go.
struct Outputs {
  const float* bias;
  const float* residual;
  float* y;
  Index pitch, rows, columns;
};

/// y = limited(sum + residual)
NETGLOT_TARGET NETGLOT_INLINE void finish(float* y, const float* residual, Floats sum, Floats low, Floats high) {
  if (residual != nullptr) sum += load(residual);
  store(y, limited(sum, low, high));
}

NETGLOT_TARGET NETGLOT_INLINE void finish_part(float* y, const float* residual, Floats sum, Floats low, Floats high,
                                               Index count) {
  if (residual != nullptr) sum += load_part(residual, count);
  store_part(y, limited(sum, low, high), count);
}

template <Index Rows, Index Vectors>
NETGLOT_TARGET NETGLOT_INLINE void finish(const Tile<Rows, Vectors>& tile, const Finish& f, const Outputs& out) {
  const Floats low = splat(f.low), high = splat(f.high);
  const Index rows = out.rows, columns = out.columns, pitch = out.pitch;
  NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) {
    if (r >= rows) continue;
    float* const y = out.y + r * pitch;
    const float* const residual = out.residual == nullptr ? nullptr : out.residual + r * pitch;
    NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) {
      const Index at = v * lanes;
      const float* const more = residual == nullptr ? nullptr : residual + at;
      if (columns >= at + lanes) {
        finish(y + at, more, tile.sum[r][v], low, high);
      } else if (columns > at) {
        finish_part(y + at, more, tile.sum[r][v], low, high, columns - at);
      }
    }
  }
}

template <Index Rows, Index Vectors>
NETGLOT_TARGET NETGLOT_INLINE void start(Tile<Rows, Vectors>& tile, const float* bias) {
  if (bias == nullptr) return tile.clear();
  NETGLOT_UNROLL for (Index v = 0; v < Vectors; ++v) {
    const Floats column = load(bias + v * lanes);
    NETGLOT_UNROLL for (Index r = 0; r < Rows; ++r) tile.sum[r][v] = column;
  }
}

template <Index Rows, Index Vectors>
NETGLOT_TARGET void multiply(const Product& p, const Windows& windows, Runs& runs, const float* w, const Outputs& out) {
  Tile<Rows, Vectors> tile;
  start(tile, out.bias);
  const Index next = p.depth * panel;
  Index first = 0;
  for (bool more = true; more; first += runs.count) {
    more = !runs.complete && look_up(p, windows, first, runs);
    for (Index i = 0; i < runs.count; ++i, w += runs.depth * panel) tile.add(runs.rows[i], runs.depth, w, next);
  }
  finish(tile, p.finish, out);
}

using Multiply = void (*)(const Product&, const Windows&, Runs&, const float*, const Outputs&);

/// The smallest tile that has so many rows. Not every number is compiled.
template <Index Vectors>
inline Multiply multiply_of(Index rows) {
  switch (rows) {
    case 1: return multiply<1, Vectors>;
    case 2: return multiply<2, Vectors>;
#if NETGLOT_LANES > 1
    case 3:
    case 4: return multiply<4, Vectors>;
    case 5:
    case 6: return multiply<6, Vectors>;
#endif
#if NETGLOT_LANES == 16
    case 7:
    case 8: return multiply<8, Vectors>;
    case 9:
    case 10: return multiply<10, Vectors>;
    case 11:
    case 12: return multiply<12, Vectors>;
#endif
    default: return multiply<tile_rows, Vectors>;
  }
}

/// How many vectors of columns a tile has that begins where `left` columns are left.
inline Index vectors_of(const Product& p, Index left) {
  if (p.rows == 1 && p.w.as == Stored::floats && left > (wide_vectors - 1) * lanes) return wide_vectors;
  return left > lanes ? tile_vectors : 1;
}

inline Multiply multiply_of(Index rows, Index vectors) {
  if (vectors == 1) return multiply_of<1>(rows);
  return rows == 1 && vectors == wide_vectors ? multiply<1, wide_vectors> : multiply_of<tile_vectors>(rows);
}

NETGLOT_TARGET inline void apply_after(const After& after, const Outputs& out, Index most) {
  const Index count = out.columns < most ? out.columns : most;
  for (Index r = 0; r < out.rows; ++r) after.apply(after.op, out.y + r * out.pitch, count);
}

/// One block of tiles, one strip of columns of one group.
NETGLOT_TARGET inline void multiply_block(void* context, Index task, Index worker) {
  const Product& p = *static_cast<const Product*>(context);
  const Index strip = task % p.strips, first = task / p.strips % p.blocks * p.block, group = task / p.strips / p.blocks;
  const Index last = first + p.block < p.tiles ? first + p.block : p.tiles;
  const Index from = strip * p.strip, to = from + p.strip < p.columns ? from + p.strip : p.columns;
  const Index padded = (p.columns + panel - 1) / panel * panel, channel = group * p.columns;
  const bool copy = p.scratch.copies >= p.block * p.rows * p.pitch;
  float* const copies = p.scratch.of(worker);
  Windows windows;
  Runs runs;
  Index vectors = 0;
  for (Index column = from; column < to; column += vectors * lanes) {
    vectors = vectors_of(p, to - column);
    const Index before = column % panel, panels = (before + vectors * lanes + panel - 1) / panel;
    const Index from_panel = (group * padded + column) / panel;
    const float* const w = widen(p.w, from_panel, panels, p.depth, copies + p.scratch.copies) + before;
    const float* const bias = p.finish.bias == nullptr ? nullptr : p.finish.bias + group * padded + column;
    for (Index tile = first; tile < last; ++tile) {
      if (column == from || p.block > 1) {
        windows_at(p, tile, group, windows);
        if (copy && (p.crowded || !windows.inside)) {
          float* const own = copies + (tile - first) * p.rows * p.pitch;
          if (column == from) copy_windows(p, windows, own);
          use_copies(p, windows, own);
        }
        runs.complete = false;
      }
      const Index at = tile * p.rows * p.window.out_channels + channel + column;
      const float* const residual = p.finish.residual == nullptr ? nullptr : p.finish.residual + at;
      const Outputs out{bias, residual, p.y + at, p.window.out_channels, windows.count, to - column};
      multiply_of(windows.count, vectors)(p, windows, runs, w, out);
      if (p.after.apply != nullptr) apply_after(p.after, out, vectors * lanes);
    }
  }
}

/// How many tiles share weights before the next weights are read: one if all weights stay in L2; else as many as stay
/// there themselves.
inline Index block_of(const Product& p) {
  if (p.depth * p.columns <= 2 * near_floats && p.w.as == Stored::floats) return 1;
  const Index fresh = p.window.stride_y * p.window.stride_x * p.window.channels;  // numbers of x that a pixel adds
  const Index most = p.scratch.copies > 0 ? p.scratch.copies / (p.rows * p.pitch) : near_floats / (p.rows * fresh);
  return most < 1 ? 1 : most < p.tiles ? most : p.tiles;
}

/// y = limited(x convolved with w, + bias + residual). w is packed (packing.py); `zeros` are channels / groups of them,
/// which only windows that reach into padding need.
NETGLOT_TARGET inline void conv(const Window& window, const Finish& finish, const float* x, const Weights& w,
                                const float* zeros, const Scratch& scratch, float* y,
                                const netglot::Parallel& parallel, const After& after = {nullptr, nullptr}) {
  Product p{window, finish, x, w, zeros, y, scratch, after, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, false};
  p.pixels = window.batch * window.out_height * window.out_width;
  p.rows = even_rows(p.pixels);
  p.rows += p.rows > 2 ? p.rows % 2 : 0;
  p.tiles = (p.pixels + p.rows - 1) / p.rows;
  p.columns = window.out_channels / window.groups;
  p.channels = window.channels / window.groups;
  p.depth = window.kernel_height * window.kernel_width * p.channels;
  p.pitch = p.depth + panel - p.depth % panel;
  p.pitch += p.pitch % (2 * panel) == 0 ? panel : 0;  // an odd number of lines of the cache
  p.pointwise = is_pointwise(window);
  p.crowded = window.stride_x * window.channels % same_sets == 0;
  p.block = block_of(p);
  p.blocks = (p.tiles + p.block - 1) / p.block;
  // Few blocks leave workers idle: then each takes a part of the columns.
  const Index tasks = parallel.workers > 1 ? 4 * parallel.workers / (window.groups * p.blocks) : 1;
  const Index panels = (p.columns + panel - 1) / panel;
  const Index each = tasks > 1 ? (panels + tasks - 1) / tasks : panels;
  p.strip = each * panel;
  p.strips = (panels + each - 1) / each;
  netglot::for_each(parallel, window.groups * p.blocks * p.strips, multiply_block, &p);
}

/// `op` (map.h) as what follows.
template <class Op>
NETGLOT_TARGET void apply(const void* op, float* y, Index count) {
  activate(y, count, *static_cast<const Op*>(op));
}

template <class Op>
After after(const Op& op) {
  return {apply<Op>, &op};
}

}  // namespace NETGLOT_NAMESPACE
