// Runs the operators along lines on lines of many lengths and steps, and prints what is wrong.
#include "rows.h"

#include <cmath>
#include <cstdio>
#include <initializer_list>

namespace NETGLOT_NAMESPACE {

constexpr Index most = 150000;
float x[most], y[most + 1], scale[most], bias[most];
double due[most];

/// Runs the tasks backwards.
void backwards(void*, std::ptrdiff_t count, netglot::Parallel::Task task, void* context) {
  for (std::ptrdiff_t i = count; i-- > 0;) task(context, i, 1);
}

const netglot::Parallel threads{backwards, nullptr, 2};

int check(const char* name, Index count, const Lines& all, double tolerance = 2e-6) {
  if (y[count] != 12345) return std::printf("%s wrote past %td elements\n", name, count);
  for (Index i = 0; i < count; ++i) {
    const bool fits = std::isnan(due[i]) ? std::isnan(y[i]) : y[i] == due[i] || std::fabs(y[i] - due[i]) <= tolerance;
    if (!fits) return std::printf("%s %tdx%tdx%td: %g at %td, %g is due\n", name, all.outer, all.count, all.inner,
                                  double(y[i]), i, due[i]);
  }
  return 0;
}

/// Calls f(first element of the line, its number within an image) for each line.
template <class F>
void each_line(const Lines& all, const F& f) {
  for (Index o = 0; o < all.outer; ++o)
    for (Index i = 0; i < all.inner; ++i) f(o * all.count * all.inner + i, o * all.inner + i, i);
}

double mean_of(Index at, Index count, Index step) {
  double total = 0;
  for (Index i = 0; i < count; ++i) total += x[at + i * step];
  return total / double(count);
}

double square_of(Index at, Index count, Index step, double mean) {
  double total = 0;
  for (Index i = 0; i < count; ++i) total += (x[at + i * step] - mean) * (x[at + i * step] - mean);
  return total / double(count);
}

int softmax(const Lines& all) {
  const Index size = all.outer * all.count * all.inner;
  int wrong = 0;
  for (const bool is_log : {false, true}) {
    each_line(all, [&](Index at, Index, Index) {
      double top = x[at], total = 0;
      for (Index i = 0; i < all.count; ++i) top = std::fmax(top, x[at + i * all.inner]);
      for (Index i = 0; i < all.count; ++i) total += std::exp(x[at + i * all.inner] - top);
      for (Index i = 0; i < all.count; ++i) {
        const double shifted = x[at + i * all.inner] - top;
        due[at + i * all.inner] = is_log ? shifted - std::log(total) : std::exp(shifted) / total;
      }
    });
    for (const bool in_place : {false, true}) {
      for (Index i = 0; i < size; ++i) y[i] = in_place ? x[i] : 0;
      y[size] = 12345;
      const float* from = in_place ? y : x;
      if (is_log) lines(threads, from, y, all, SoftmaxLine<true>{});
      if (!is_log) lines(threads, from, y, all, SoftmaxLine<false>{});
      wrong += check("softmax", size, all, is_log ? 8e-6 : 2e-6);
    }
  }
  return wrong;
}

int reductions(const Lines& all) {
  const Index count = all.outer * all.inner;
  each_line(all, [&](Index at, Index line, Index) { due[line] = mean_of(at, all.count, all.inner); });
  y[count] = 12345;
  lines(threads, x, y, all, SumLine<Itself>{1 / float(all.count)});
  int wrong = check("mean", count, all);
  each_line(all, [&](Index at, Index line, Index) { due[line] = square_of(at, all.count, all.inner, 0); });
  lines(threads, x, y, all, SumLine<SquaredDifference>{1 / float(all.count)});
  wrong += check("squares", count, all, 2e-5);
  each_line(all, [&](Index at, Index line, Index) {
    due[line] = x[at];
    for (Index i = 1; i < all.count; ++i) due[line] = std::fmax(due[line], x[at + i * all.inner]);
  });
  lines(threads, x, y, all, ExtremeLine<Max>{});
  wrong += check("max", count, all, 0);
  each_line(all, [&](Index at, Index line, Index) {
    due[line] = x[at];
    for (Index i = 1; i < all.count; ++i) due[line] = std::fmin(due[line], x[at + i * all.inner]);
  });
  lines(threads, x, y, all, ExtremeLine<Min>{});
  return wrong + check("min", count, all, 0);
}

int normalisation(const Lines& all) {
  const Index size = all.outer * all.count * all.inner;
  int wrong = 0;
  for (const bool center : {false, true}) {
    each_line(all, [&](Index at, Index, Index inner) {
      const double mean = center ? mean_of(at, all.count, all.inner) : 0;
      const double factor = 1 / std::sqrt(square_of(at, all.count, all.inner, mean) + 1e-3);
      for (Index i = 0; i < all.count; ++i) {
        const Index which = all.inner == 1 ? i : inner;
        due[at + i * all.inner] = (x[at + i * all.inner] - mean) * factor * scale[which] + bias[which];
      }
    });
    for (Index i = 0; i < size; ++i) y[i] = x[i];
    y[size] = 12345;
    if (center) lines(threads, y, y, all, NormalLine<true>{scale, bias, 1e-3f});
    if (!center) lines(threads, y, y, all, NormalLine<false>{scale, bias, 1e-3f});
    wrong += check("normal", size, all, 1e-5);
  }
  return wrong;
}

/// x[batch, groups * channels, pixels], or with the last two the other way round.
int groups(Index batch, Index groups, Index channels, Index pixels) {
  const Index size = batch * groups * channels * pixels;
  const Lines all{batch * groups, channels * pixels, 1};
  each_line(all, [&](Index at, Index line, Index) {
    const double mean = mean_of(at, all.count, 1), factor = 1 / std::sqrt(square_of(at, all.count, 1, mean) + 1e-3);
    for (Index i = 0; i < all.count; ++i) {
      const Index channel = line % groups * channels + i / pixels;
      due[at + i] = (x[at + i] - mean) * factor * scale[channel] + bias[channel];
    }
  });
  y[size] = 12345;
  whole_lines(threads, x, y, all.outer, all.count, GroupLine{scale, bias, groups, channels, pixels, 1e-3f});
  int wrong = check("groups", size, all, 1e-5);
  static float turned[most], back[most];
  const Index deep = groups * channels;
  for (Index i = 0; i < size; ++i)
    turned[i / (deep * pixels) * deep * pixels + i % pixels * deep + i / pixels % deep] = x[i];
  normalize_groups(threads, batch, {turned, back, scale, bias, pixels, deep, groups, 1e-3f});
  for (Index i = 0; i < size; ++i)
    y[i] = back[i / (deep * pixels) * deep * pixels + i % pixels * deep + i / pixels % deep];
  return wrong + check("groups of channels side by side", size, all, 1e-5);
}

int run() {
  for (Index i = 0; i < most; ++i) {
    x[i] = float(std::int64_t{i} * 7919 % 2003 - 1001) / 200 + 1;
    scale[i] = float(i % 31) / 40 + 0.5f;
    bias[i] = float(i % 17) / 20 - 0.3f;
  }
  int wrong = 0;
  for (Index inner : {1, 2, 7, 16, 33})
    for (Index count : {1, 2, 5, 8, 15, 16, 17, 31, 64, 197, 1100}) {
      const Lines all{3, count, inner};
      wrong += softmax(all) + reductions(all) + normalisation(all);
    }
  for (const Lines& all : {Lines{700, 200, 1}, Lines{1, 140000, 1}, Lines{3, 40000, 1}, Lines{1, 300, 333},
                           Lines{2, 5000, 14}, Lines{2, 70, 1000}})
    wrong += softmax(all) + reductions(all) + normalisation(all);
  wrong += groups(2, 3, 4, 5) + groups(1, 4, 16, 49) + groups(2, 8, 1, 63) + groups(1, 2, 37, 100);
  x[40] = NAN, x[77] = -INFINITY;
  for (Index inner : {1, 5}) wrong += softmax({3, 50, inner});
  return wrong != 0;
}

}  // namespace NETGLOT_NAMESPACE

int main() { return NETGLOT_NAMESPACE::run(); }
