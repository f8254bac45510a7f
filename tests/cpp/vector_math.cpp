// Prints, for each function of vector_math.h, how far from double it is at worst, in units of the last place, and where.
#include <cmath>
#include <cstdio>
#include <limits>

#include "vector_math.h"

namespace NETGLOT_NAMESPACE {

/// The distance of y from what is due, in units of the last place that a float of that size has.
double distance(float y, double due) {
  if (std::isnan(due) || std::isnan(y)) return std::isnan(due) && std::isnan(y) ? 0 : INFINITY;
  const float rounded = float(due);
  if (std::isinf(rounded) || std::isinf(y)) return y == rounded ? 0 : INFINITY;
  int exponent;
  std::frexp(rounded, &exponent);
  return std::fabs(y - due) / std::ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
}

struct Worst {
  double distance = 0;
  float x = 0, y = 0;
};

using Function = void (*)(const float* x, float* y);
using Reference = double (*)(double x);

void measure(const char* name, Function function, Reference reference) {
  constexpr std::uint32_t step = STEP / lanes * lanes + 1;
  Worst worst;
  float x[lanes], y[lanes];
  std::uint32_t i = 0;
  for (bool more = true; more;) {
    for (float& each : x) {
      std::memcpy(&each, &i, sizeof i);
      more = more && i <= 0xFFFFFFFFu - step;
      i += step;
    }
    function(x, y);
    for (Index lane = 0; lane < lanes; ++lane) {
      const double d = distance(y[lane], reference(x[lane]));
      if (d > worst.distance) worst = {d, x[lane], y[lane]};
    }
  }
  // zeros, infinities, NaN and the ends of the ranges
  const float special[] = {0.f, -0.f, INFINITY, -INFINITY, NAN, 1.f, -1.f, 88.72283f, 88.72284f, -103.97f, -103.98f,
                           -87.33654f, -87.4f, 1.17549435e-38f, 1.17549421e-38f, 1.4e-45f, -1.4e-45f, 3.4028235e38f};
  for (float each : special) {
    for (float& lane : x) lane = each;
    function(x, y);
    const double d = distance(y[0], reference(each));
    if (d > worst.distance) worst = {d, each, y[0]};
  }
  std::printf("%s %g %.9g %.9g\n", name, worst.distance, double(worst.x), double(worst.y));
}

#define FUNCTION(name) \
  NETGLOT_TARGET void name##_(const float* x, float* y) { store(y, name(load(x))); }
FUNCTION(exp)
FUNCTION(expm1)
FUNCTION(log)
FUNCTION(tanh)
FUNCTION(sigmoid)
FUNCTION(softplus)
FUNCTION(erf)
FUNCTION(sqrt)

void run() {
  measure("exp", exp_, [](double x) { return std::exp(x); });
  measure("expm1", expm1_, [](double x) { return std::expm1(x); });
  measure("log", log_, [](double x) { return std::log(x); });
  measure("tanh", tanh_, [](double x) { return std::tanh(x); });
  measure("sigmoid", sigmoid_, [](double x) { return 1 / (1 + std::exp(-x)); });
  measure("softplus", softplus_, [](double x) { return (x < 0 ? 0 : x) + std::log1p(std::exp(-std::fabs(x))); });
  measure("erf", erf_, [](double x) { return std::erf(x); });
  measure("sqrt", sqrt_, [](double x) { return std::sqrt(x); });
}

}  // namespace NETGLOT_NAMESPACE

int main() { NETGLOT_NAMESPACE::run(); }
