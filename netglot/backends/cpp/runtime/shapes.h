// The sizes that kernels of images are told: constants of the generated code.
#pragma once

#include "simd.h"

namespace NETGLOT_NAMESPACE {

/// A window that slides over images x[batch, height, width, channels] and gives y[batch, out_height, out_width,
/// out_channels]. Images of one spatial axis have a height of one.
struct Window {
  Index batch, height, width, channels;
  Index out_height, out_width, out_channels;
  Index kernel_height, kernel_width, stride_y, stride_x, pad_top, pad_left, dilation_y, dilation_x;
  Index groups;  ///< of channels, each of which sees only itself
};

/// What is done to each output before it is stored: y = limited(sum + bias + residual).
struct Finish {
  const float* bias;      ///< of each output channel, padded to whole panels for each group; or null
  const float* residual;  ///< as large as y; or null. May be y itself
  float low, high;        ///< limits of y; infinities for none
};

}  // namespace NETGLOT_NAMESPACE
