// Depthwise convolution of images whose channels lie together: each channel has a window of its own.
//
// A task is a few rows of outputs, for as many channels as leave the rows of x that a window sees in the fast cache.
// Along a row, for one vector of channels, a few neighbouring outputs are computed together, so that every vector of x
// and of the weights is loaded once for all the sums that it goes into. Which taps of a window lie inside of the image
// is known before the loops: outputs whose columns are all inside take the fast way, the few at the edges go one by one
// over what they see.
#pragma once

#include "parallel.h"
#include "shapes.h"
#include "simd.h"
#include "taps.h"

namespace NETGLOT_NAMESPACE {

/// Neighbouring outputs of a row, and what they see. Pointers are to the first channel of the first output, and to the
/// first tap inside of the image.
struct Strip {
  const float *x, *w, *bias, *residual;  // the last two may be null
  float* y;
  Index count;                   // outputs
  Index rows, taps;              // of the window, inside of the image
  Index x_row, x_tap, x_column;  // floats in x from a row of taps to the next, from a tap, from an output
  Index w_row, w_tap;            // and in w
  Index channels, multiplier;    // of y, for each one of x
  float low, high;
};

/// v, which from here on stays in a register: GCC would rather load it again for each product.
NETGLOT_TARGET NETGLOT_INLINE Floats kept(Floats v) {
#if defined(NETGLOT_X86) && !defined(__clang__)
  __asm__("" : "+v"(v));
#endif
  return v;
}

/// The vector at `p`, of which only `left` elements may be there if `Part`.
template <bool Part>
NETGLOT_TARGET NETGLOT_INLINE Floats load_some(const float* p, Index left) {
  return Part ? load_part(p, left) : load(p);
}

/// The sums of neighbouring outputs, for one vector of channels. `Part`: the last one, which is not full.
template <Index Columns, bool Part>
struct Sums {
  Floats sum[Columns];

  NETGLOT_TARGET NETGLOT_INLINE void start(Floats bias) {
    NETGLOT_UNROLL for (Index o = 0; o < Columns; ++o) sum[o] = bias;
  }

  /// Adds one row of windows of `Taps` columns, `Stride` apart; columns that they share are loaded once.
  template <Index Taps, Index Stride>
  NETGLOT_TARGET NETGLOT_INLINE void add(const float* x, Index step, Index left, const Floats* weight) {
    NETGLOT_UNROLL for (Index i = 0; i < (Columns - 1) * Stride + Taps; ++i) {
      const Floats column = kept(load_some<Part>(x + i * step, left));
      NETGLOT_UNROLL for (Index o = 0; o < Columns; ++o)
          if (i >= o * Stride && i < o * Stride + Taps) sum[o] += column * weight[i - o * Stride];
    }
  }

  NETGLOT_TARGET NETGLOT_INLINE void finish(const Strip& s, float* y, const float* residual, Index left) {
    NETGLOT_UNROLL for (Index o = 0; o < Columns; ++o) {
      if (residual) sum[o] += load_some<Part>(residual + o * s.channels, left);
      const Floats result = limited(sum[o], splat(s.low), splat(s.high));
      if (Part) {
        store_part(y + o * s.channels, result, left);
      } else {
        store(y + o * s.channels, result);
      }
    }
  }
};

/// Windows of `Taps` neighbouring columns, `Stride` apart, all of them inside.
template <Index Taps, Index Stride>
struct Shared {
  NETGLOT_TARGET NETGLOT_INLINE Shared(const Strip&, Index) {}

  template <Index Columns, bool Part>
  NETGLOT_TARGET NETGLOT_INLINE void add(Sums<Columns, Part>& sums, const Strip& s, const float* x, Index c) const {
    const float* w = s.w + c;
    x += c;
    for (Index row = 0; row < s.rows; ++row, x += s.x_row, w += s.w_row) {
      Floats weight[Taps];
      NETGLOT_UNROLL for (Index k = 0; k < Taps; ++k) weight[k] = load(w + k * s.w_tap);
      sums.template add<Taps, Stride>(x, s.x_tap, s.channels - c, weight);
    }
  }
};

/// Any windows that see the same taps.
struct Apart {
  NETGLOT_TARGET NETGLOT_INLINE Apart(const Strip&, Index) {}

  template <Index Columns, bool Part>
  NETGLOT_TARGET NETGLOT_INLINE void add(Sums<Columns, Part>& sums, const Strip& s, const float* x, Index c) const {
    const float* w = s.w + c;
    x += c;
    for (Index row = 0; row < s.rows; ++row, x += s.x_row, w += s.w_row) {
      for (Index k = 0; k < s.taps; ++k) {
        const Floats weight = load(w + k * s.w_tap);
        NETGLOT_UNROLL for (Index o = 0; o < Columns; ++o)
            sums.sum[o] += weight * load_some<Part>(x + k * s.x_tap + o * s.x_column, s.channels - c);
      }
    }
  }
};

/// Windows of several outputs for each channel of x.
struct Multiplied {
  Index from[lanes];  // where in x the elements of a vector come from; the last vector repeats the last of them

  NETGLOT_TARGET NETGLOT_INLINE Multiplied(const Strip& s, Index c) {
    for (Index i = 0; i < lanes; ++i) from[i] = (c + i < s.channels ? c + i : s.channels - 1) / s.multiplier;
  }

  template <Index Columns, bool Part>
  NETGLOT_TARGET NETGLOT_INLINE void add(Sums<Columns, Part>& sums, const Strip& s, const float* x, Index c) const {
    const float* w = s.w + c;
    for (Index row = 0; row < s.rows; ++row, x += s.x_row, w += s.w_row) {
      for (Index k = 0; k < s.taps; ++k) {
        const Floats weight = load(w + k * s.w_tap);
        NETGLOT_UNROLL for (Index o = 0; o < Columns; ++o) {
          float part[lanes];
          for (Index i = 0; i < lanes; ++i) part[i] = x[k * s.x_tap + o * s.x_column + from[i]];
          sums.sum[o] += weight * load(part);
        }
      }
    }
  }
};

/// How far along a strip we are.
struct Cursor {
  const float *x, *residual;
  float* y;
  Index left;  // outputs
};

/// As many groups of `Columns` outputs as there are.
template <Index Columns, bool Part, class Windows>
NETGLOT_TARGET NETGLOT_INLINE void convolve_columns(const Strip& s, Index c, Floats bias, const Windows& windows,
                                                     Cursor& at) {
  for (; at.left >= Columns; at.left -= Columns) {
    Sums<Columns, Part> sums;
    sums.start(bias);
    windows.add(sums, s, at.x, c);
    sums.finish(s, at.y, at.residual, s.channels - c);
    at.x += Columns * s.x_column;
    at.y += Columns * s.channels;
    if (at.residual) at.residual += Columns * s.channels;
  }
}

/// One vector of channels of a strip.
template <class Windows, bool Part>
NETGLOT_TARGET NETGLOT_INLINE void convolve_channels(const Strip& s, Index c) {
  const Windows windows(s, c);
  const Floats bias = s.bias ? load(s.bias + c) : Floats{};
  Cursor at{s.x, s.residual ? s.residual + c : nullptr, s.y + c, s.count};
  convolve_columns<4, Part>(s, c, bias, windows, at);
  convolve_columns<2, Part>(s, c, bias, windows, at);
  convolve_columns<1, Part>(s, c, bias, windows, at);
}

/// The channels `first` to `end` of a strip; where `end` is not a multiple of `lanes`, it is that of the last channel.
template <class Windows>
NETGLOT_TARGET inline void convolve(const Strip& strip, Range channels) {
  const Strip s = strip;  // of its own, so that no store to y can change it
  if (s.count == 0) return;
  Index c = channels.first;
  for (; c + lanes <= channels.end; c += lanes) convolve_channels<Windows, false>(s, c);
  if (c < channels.end) convolve_channels<Windows, true>(s, c);
}

/// One layer, and how it is cut into tasks.
struct Depthwise {
  const Window& window;
  const Finish& finish;
  const float *x, *w;
  float* y;
  Index bands, band;    // of rows, in each image, and how many rows each has
  Index chunks, chunk;  // of channels

  /// A row of outputs, from its first column on and over all taps of the width (which may be outside).
  Strip row(Index image, Index index) const {
    const Window& v = window;
    const Index start = index * v.stride_y - v.pad_top, x_row = v.width * v.channels;
    const Index first = (image * v.out_height + index) * v.out_width * v.out_channels;
    const Index padded = (v.out_channels + panel - 1) / panel * panel;
    const Range taps = taps_inside(start, v.height, v.kernel_height, v.dilation_y);
    Strip s{};
    s.x = x + image * v.height * x_row;
    s.w = w;
    s.rows = taps.end - taps.first;
    if (s.rows > 0) {
      s.x += (start + taps.first * v.dilation_y) * x_row;
      s.w += taps.first * v.kernel_width * padded;
    }
    s.bias = finish.bias;
    s.residual = finish.residual ? finish.residual + first : nullptr;
    s.y = y + first;
    s.x_row = v.dilation_y * x_row, s.x_tap = v.dilation_x * v.channels, s.x_column = v.stride_x * v.channels;
    s.w_row = v.kernel_width * padded, s.w_tap = padded;
    s.channels = v.out_channels, s.multiplier = v.out_channels / v.channels;
    s.low = finish.low, s.high = finish.high;
    return s;
  }

  /// The part of `row` that begins at an output and is seen as that output is.
  Strip part(Strip row, Index column, Index count) const {
    const Window& v = window;
    const Index start = column * v.stride_x - v.pad_left;
    const Range taps = taps_inside(start, v.width, v.kernel_width, v.dilation_x);
    row.count = count;
    row.taps = taps.end - taps.first;
    if (row.taps > 0) {
      row.x += (start + taps.first * v.dilation_x) * v.channels;
      row.w += taps.first * row.w_tap;
    }
    row.y += column * v.out_channels;
    if (row.residual) row.residual += column * v.out_channels;
    return row;
  }
};

template <class Inside, class Edge>
NETGLOT_TARGET void depthwise_task(void* context, Index task, Index) {
  const Depthwise& d = *static_cast<const Depthwise*>(context);
  const Window& v = d.window;
  const Index chunk = task % d.chunks * d.chunk, band = task / d.chunks % d.bands * d.band;
  const Range channels{chunk, chunk + d.chunk < v.out_channels ? chunk + d.chunk : v.out_channels};
  const Range inside = outputs_inside(v.width, v.out_width, v.kernel_width, v.stride_x, v.pad_left, v.dilation_x);
  for (Index index = band; index < band + d.band && index < v.out_height; ++index) {
    const Strip row = d.row(task / d.chunks / d.bands, index);
    for (Index column = 0; column < inside.first; ++column) convolve<Edge>(d.part(row, column, 1), channels);
    convolve<Inside>(d.part(row, inside.first, inside.end - inside.first), channels);
    for (Index column = inside.end; column < v.out_width; ++column) convolve<Edge>(d.part(row, column, 1), channels);
  }
}

constexpr netglot::Parallel::Task depthwise_kind(const Window& v) {
  if (v.out_channels != v.channels) return depthwise_task<Multiplied, Multiplied>;
  const Index taps = v.dilation_x == 1 ? v.kernel_width : 0;
  if (taps == 3 && v.stride_x == 1) return depthwise_task<Shared<3, 1>, Apart>;
  if (taps == 3 && v.stride_x == 2) return depthwise_task<Shared<3, 2>, Apart>;
  if (taps == 5 && v.stride_x == 1) return depthwise_task<Shared<5, 1>, Apart>;
  if (taps == 5 && v.stride_x == 2) return depthwise_task<Shared<5, 2>, Apart>;
  return depthwise_task<Apart, Apart>;
}

/// y[., ., ., m] = x[., ., ., m / k] with w[., m] slid over it, where k = out_channels / channels. The weights are
/// [kernel_height * kernel_width][out_channels rounded up to whole panels], zero-padded, and so is the bias.
///
/// Inlined, so that of the kinds only that of the (constant) window is compiled.
NETGLOT_INLINE void depthwise(const Window& window, const Finish& finish, const float* x, const float* w, float* y,
                              const netglot::Parallel& parallel) {
  constexpr Index fast = 6144;  // floats that stay in the fast cache beside y and the weights
  const Index panels = fast / (window.kernel_height * window.width * panel);
  const Index chunk = (panels > 1 ? panels : 1) * panel, band = window.out_height < 16 ? window.out_height : 16;
  Depthwise d{window, finish, x, w, y, (window.out_height + band - 1) / band, band,
              (window.out_channels + chunk - 1) / chunk, chunk};
  netglot::for_each(parallel, window.batch * d.bands * d.chunks, depthwise_kind(window), &d);
}

}  // namespace NETGLOT_NAMESPACE
