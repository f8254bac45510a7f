// Computes a convolution by runtime/winograd.h. Input: the numbers of Window; the outputs of a tile along each axis, the
// workers, the floats of working memory that Python expects, whether there is a bias, a residual (which y replaces),
// and an activation (half of y); then the limits, x, the packed weights (their number first), the bias and the residual.
// Output: y.
#include "winograd.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

using namespace NETGLOT_NAMESPACE;

/// Just so large that a sanitizer sees whatever lies beyond.
std::unique_ptr<float[]> floats(Index count) { return std::unique_ptr<float[]>(new float[size_t(count)]); }

template <class T>
void read(T* data, Index count) {
  if (std::fread(data, sizeof(T), size_t(count), stdin) != size_t(count)) std::exit(2);
}

std::unique_ptr<float[]> read_floats(Index count) {
  std::unique_ptr<float[]> data = floats(count);
  read(data.get(), count);
  return data;
}

/// Runs tasks backwards, each with the memory of another worker than the last one.
void backwards(void* workers, Index count, netglot::Parallel::Task task, void* context) {
  for (Index i = count - 1; i >= 0; --i) task(context, i, i % *static_cast<Index*>(workers));
}

void halve(const void* factor, float* y, Index count) {
  for (Index i = 0; i < count; ++i) y[i] *= *static_cast<const float*>(factor);
}

struct Choices {
  Index output, workers, floats, has_bias, has_residual, is_halved;
};

int main() {
  Window window;
  Choices choices;
  Index weights;
  read(&window, 1);
  read(&choices, 1);
  const auto limits = read_floats(2), x = read_floats(window.batch * window.height * window.width * window.channels);
  read(&weights, 1);
  const auto u = read_floats(weights);
  const auto bias = choices.has_bias ? read_floats((window.out_channels + panel - 1) / panel * panel) : nullptr;
  const Index size = window.batch * window.out_height * window.out_width * window.out_channels;
  const auto y = choices.has_residual ? read_floats(size) : floats(size);

  if (winograd_scratch(window, choices.output) != choices.floats) return 3;
  const auto scratch = floats(choices.workers * choices.floats);
  const Finish finish{bias.get(), choices.has_residual ? y.get() : nullptr, limits[0], limits[1]};
  const netglot::Parallel parallel{backwards, &choices.workers, choices.workers};
  const float half = 0.5f;
  const After after{choices.is_halved ? halve : nullptr, &half};
  const auto conv = choices.output == 2 ? conv_winograd<2> : conv_winograd<4>;
  conv(window, finish, x.get(), u.get(), y.get(), scratch.get(), parallel, after);
  return std::fwrite(y.get(), sizeof(float), size_t(size), stdout) == size_t(size) ? 0 : 4;
}
