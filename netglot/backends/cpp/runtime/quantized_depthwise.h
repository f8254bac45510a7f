// Depthwise convolutions of 8-bit numbers: each channel sees only itself.
#pragma once

#include "parallel.h"
#include "quantized_bytes.h"
#include "shapes.h"

namespace NETGLOT_NAMESPACE {

/// A depthwise convolution as its tasks see it; a task is a row of y.
struct ByteDepthwise {
  const Byte* x;
  const std::int8_t* weights;
  Byte* y;
  Requantize to;
  Window window;
  Byte flip, pad;  ///< pad: what x holds outside of the image, its zero point
  Byte* scratch;   ///< scratch_size bytes for each worker
  Index scratch_size;
};

constexpr Index padded_channels(Index channels) {
  return (channels + byte_block_channels - 1) / byte_block_channels * byte_block_channels;
}

/// How many groups of four the taps of a kernel are in: the columns of 3 x 3, else one tap after the other.
constexpr Index tap_quads(Index kernel_height, Index kernel_width) {
  return kernel_height == 3 && kernel_width == 3 ? 3 : (kernel_height * kernel_width + 3) / 4;
}

/// Bytes of working memory for each worker: a pixel outside of the image, and pointers to those under the kernel.
constexpr Index byte_depthwise_scratch(Index kernel_height, Index kernel_width, Index channels) {
  return padded_channels(channels) + (4 * tap_quads(kernel_height, kernel_width) * Index(sizeof(Byte*)) + 63) / 64 * 64;
}

/// The sums of one vector of channels.
template <bool Dot>
struct ChannelSums {
  Quarters sum;

  NETGLOT_TARGET NETGLOT_INLINE void start(const std::int32_t* bias, Index channel) {
    NETGLOT_UNROLL for (Index q = 0; q < 4; ++q) sum.part[q] = load_ints(bias + quarter(channel, q));
  }

  NETGLOT_TARGET NETGLOT_INLINE void add(const Quarters& x, const std::int8_t* w, Index channel) {
    NETGLOT_UNROLL for (Index q = 0; q < 4; ++q) {
      const Factors<Dot> factors = split_w<Dot>(load_ints(w + 4 * quarter(channel, q)));
      sum.part[q] = dot<Dot>(sum.part[q], split_x<Dot>(x.part[q]), factors);
    }
  }

  template <Index Known>
  NETGLOT_TARGET NETGLOT_INLINE void finish(Byte* y, Extent<Known> extent, const float* scale, Index channel,
                                            const Limits& limits) {
    Quarters out;
    NETGLOT_UNROLL for (Index q = 0; q < 4; ++q)
        out.part[q] = limits(sum.part[q], load(scale + quarter(channel, q)));
    store_bytes(y, joined(out), extent);
  }
};

NETGLOT_TARGET NETGLOT_INLINE Quarters factors_of(Ints a, Ints b, Ints c, Ints d, Ints flip) {
  Quarters all = interleaved(a, b, c, d);
  NETGLOT_UNROLL for (Index q = 0; q < 4; ++q) all.part[q] ^= flip;
  return all;
}

/// The three rows of x under a row of y of a 3 x 3 kernel; a row outside of the image is one pixel over and over.
struct ThreeRows {
  const Byte* start[3];
  Index step[3];
  Index width;
  Ints flip, outside;

  template <Index Known>
  NETGLOT_TARGET NETGLOT_INLINE Quarters column(Index x, Index channel, Extent<Known> extent) const {
    if (x < 0 || x >= width) return {{outside, outside, outside, outside}};
    const Ints a = load_bytes(start[0] + x * step[0] + channel, extent);
    const Ints b = load_bytes(start[1] + x * step[1] + channel, extent);
    const Ints c = load_bytes(start[2] + x * step[2] + channel, extent);
    return factors_of(a, b, c, c, flip);  // the weight of the fourth is zero
  }
};

/// Some channels of one row of y of a 3 x 3 kernel. Each column of three pixels is interleaved once, for up to three
/// outputs.
template <bool Dot, Index Stride, Index Known>
NETGLOT_TARGET void byte_depthwise_row(const ByteDepthwise& d, const ThreeRows& rows, Byte* y, Index channel,
                                       Extent<Known> extent) {
  const Index channels = d.window.channels, left = -d.window.pad_left;
  const std::int32_t* bias = bias_for(d.to, padded_channels(channels));
  const std::int8_t* w = d.weights + channel / byte_block_channels * byte_block_channels * 12;
  const Index at = channel % byte_block_channels;
  const Limits limits(d.to);
  Quarters a = rows.column(left, channel, extent), b = a;
  if constexpr (Stride == 1) b = rows.column(left + 1, channel, extent);
  for (Index ox = 0; ox < d.window.out_width; ++ox) {
    const Index x = left + ox * Stride;
    if constexpr (Stride == 2) b = rows.column(x + 1, channel, extent);
    const Quarters c = rows.column(x + 2, channel, extent);
    ChannelSums<Dot> sums;
    sums.start(bias, channel);
    sums.add(a, w, at);
    sums.add(b, w + 4 * byte_block_channels, at);
    sums.add(c, w + 8 * byte_block_channels, at);
    sums.finish(y + ox * channels + channel, extent, d.to.scale, channel, limits);
    a = Stride == 1 ? b : c;
    b = c;
  }
}

/// One row of y of a 3 x 3 kernel: whole vectors of channels, then what is left.
template <bool Dot, Index Stride>
NETGLOT_TARGET void byte_depthwise_channels(const ByteDepthwise& d, const ThreeRows& rows, Byte* y) {
  Index channel = 0;
  for (; channel + bytes_wide <= d.window.channels; channel += bytes_wide)
    byte_depthwise_row<Dot, Stride>(d, rows, y, channel, Extent<bytes_wide>{bytes_wide});
  const Index left = d.window.channels - channel;
  if (left == 0) return;
  if constexpr (bytes_wide > 32) {
    if (left == 32) return byte_depthwise_row<Dot, Stride>(d, rows, y, channel, Extent<32>{32});
    if (left == 16) return byte_depthwise_row<Dot, Stride>(d, rows, y, channel, Extent<16>{16});
  }
  byte_depthwise_row<Dot, Stride>(d, rows, y, channel, Extent<0>{left});
}

template <bool Dot>
NETGLOT_TARGET void byte_depthwise_3x3(void* context, Index task, Index worker) {
  const ByteDepthwise& d = *static_cast<const ByteDepthwise*>(context);
  const Window& w = d.window;
  Byte* const outside = d.scratch + worker * d.scratch_size;
  std::memset(outside, d.pad, std::size_t(w.channels));
  ThreeRows rows;
  rows.width = w.width;
  rows.flip = splat_byte(d.flip);
  rows.outside = splat_byte(d.pad ^ d.flip);
  for (Index ky = 0; ky < 3; ++ky) {
    const Index y = task % w.out_height * w.stride_y - w.pad_top + ky;
    const bool inside = y >= 0 && y < w.height;
    rows.step[ky] = inside ? w.channels : 0;
    rows.start[ky] = inside ? d.x + (task / w.out_height * w.height + y) * w.width * w.channels : outside;
  }
  Byte* const y = d.y + task * w.out_width * w.channels;
  if (w.stride_x == 1) return byte_depthwise_channels<Dot, 1>(d, rows, y);
  byte_depthwise_channels<Dot, 2>(d, rows, y);
}

/// Which pixel is under a tap. Taps are numbered as the weights lie; those that fill up a group of four see any pixel.
inline const Byte* pixel_under(const ByteDepthwise& d, Index tap, Index row, Index ox, const Byte* outside) {
  const Window& w = d.window;
  const bool columns = w.kernel_height == 3 && w.kernel_width == 3;
  const Index ky = columns ? tap % 4 : tap / w.kernel_width, kx = columns ? tap / 4 : tap % w.kernel_width;
  const Index y = row % w.out_height * w.stride_y - w.pad_top + ky * w.dilation_y;
  const Index x = ox * w.stride_x - w.pad_left + kx * w.dilation_x;
  if (ky >= w.kernel_height || y < 0 || y >= w.height || x < 0 || x >= w.width) return outside;
  return d.x + ((row / w.out_height * w.height + y) * w.width + x) * w.channels;
}

/// Some channels of one output of any kernel; `pixels` are those under its taps.
template <bool Dot, Index Known>
NETGLOT_TARGET NETGLOT_INLINE void byte_depthwise_pixel(const ByteDepthwise& d, const Byte* const* pixels, Byte* y,
                                                        Index channel, Extent<Known> extent, const Limits& limits) {
  const Index quads = tap_quads(d.window.kernel_height, d.window.kernel_width), at = channel % byte_block_channels;
  const std::int8_t* weights = d.weights + (channel - at) * 4 * quads;
  const Ints flip = splat_byte(d.flip);
  ChannelSums<Dot> sums;
  sums.start(bias_for(d.to, padded_channels(d.window.channels)), channel);
  for (Index quad = 0; quad < quads; ++quad) {
    const Byte* const* p = pixels + 4 * quad;
    const Ints a = load_bytes(p[0] + channel, extent), b = load_bytes(p[1] + channel, extent);
    const Ints c = load_bytes(p[2] + channel, extent), e = load_bytes(p[3] + channel, extent);
    sums.add(factors_of(a, b, c, e, flip), weights + quad * 4 * byte_block_channels, at);
  }
  sums.finish(y + channel, extent, d.to.scale, channel, limits);
}

/// One row of y of any kernel.
template <bool Dot>
NETGLOT_TARGET void byte_depthwise_any(void* context, Index task, Index worker) {
  const ByteDepthwise& d = *static_cast<const ByteDepthwise*>(context);
  const Window& w = d.window;
  const Index taps = 4 * tap_quads(w.kernel_height, w.kernel_width);
  Byte* const outside = d.scratch + worker * d.scratch_size;
  const Byte** const pixels = reinterpret_cast<const Byte**>(outside + padded_channels(w.channels));
  std::memset(outside, d.pad, std::size_t(w.channels));
  const Limits limits(d.to);
  for (Index ox = 0; ox < w.out_width; ++ox) {
    for (Index tap = 0; tap < taps; ++tap) pixels[tap] = pixel_under(d, tap, task, ox, outside);
    Byte* const y = d.y + (task * w.out_width + ox) * w.channels;
    Index channel = 0;
    for (; channel + bytes_wide <= w.channels; channel += bytes_wide)
      byte_depthwise_pixel<Dot>(d, pixels, y, channel, Extent<bytes_wide>{bytes_wide}, limits);
    if (channel < w.channels)
      byte_depthwise_pixel<Dot>(d, pixels, y, channel, Extent<0>{w.channels - channel}, limits);
  }
}

template <bool Dot>
void byte_depthwise(const Parallel& parallel, ByteDepthwise& d) {
  const Window& w = d.window;
  const bool sliding = w.kernel_height == 3 && w.kernel_width == 3 && w.dilation_y == 1 && w.dilation_x == 1 &&
                       (w.stride_x == 1 || w.stride_x == 2);
  for_each(parallel, w.batch * w.out_height, sliding ? byte_depthwise_3x3<Dot> : byte_depthwise_any<Dot>, &d);
}

/// y = the convolution of x with a kernel for each channel, of images of 8-bit numbers with channels last.
///
/// w, and the tables of `to`, hold blocks of 64 channels: [block][tap_quads()][4][4][4][4 taps], where the channel in a
/// block is third index * 16 + second * 4 + fourth; bias and scale likewise [block][4][4][4]. `zero`, `dot`: as for
/// quantized_conv. `scratch`: byte_depthwise_scratch() bytes for each worker.
template <class T, class Y>
void quantized_depthwise(const Parallel& parallel, bool dot, const T* x, const std::int8_t* w, Y* y,
                         const Window& window, const Requantize& to, std::int32_t zero, void* scratch) {
  static_assert(sizeof(Y) == 1, "outputs are bytes");
  ByteDepthwise d{reinterpret_cast<const Byte*>(x), w, reinterpret_cast<Byte*>(y), to, window, flip_of<T>, Byte(zero),
                  static_cast<Byte*>(scratch),
                  byte_depthwise_scratch(window.kernel_height, window.kernel_width, window.channels)};
  if constexpr (has_dot) {
    if (dot) return byte_depthwise<true>(parallel, d);
  }
  byte_depthwise<false>(parallel, d);
}

}  // namespace NETGLOT_NAMESPACE
