// Runs operations on rows of every length, in place and not, one thread and "several", and prints what is wrong.
#include "map.h"

#include <cmath>
#include <cstdio>
#include <initializer_list>

namespace NETGLOT_NAMESPACE {

constexpr Index most = 2 * map_task + 5 * 37;
float x[most], other[most], y[most + 1], due[most];

bool differ(float a, float b) {
  return std::isnan(b) ? !std::isnan(a) : !(a == b || std::fabs(a - b) <= 2e-6f * std::fmax(1.f, std::fabs(b)));
}

int check(const char* name, Index count) {
  for (Index i = 0; i < count; ++i)
    if (differ(y[i], due[i])) return std::printf("%s: %g for %g, %g is due (%td of %td)\n", name, double(y[i]),
                                                 double(x[i]), double(due[i]), i, count);
  return y[count] == 12345 ? 0 : std::printf("%s wrote past %td elements\n", name, count);
}

/// Runs the tasks backwards.
void backwards(void*, std::ptrdiff_t count, netglot::Parallel::Task task, void* context) {
  for (std::ptrdiff_t i = count; i-- > 0;) task(context, i, 1);
}

const netglot::Parallel threads{backwards, nullptr, 2};

template <class Op>
int one(const char* name, float (*reference)(float), const Op& op = {}) {
  int wrong = 0;
  for (Index count : {1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100, int(most)}) {
    for (Index i = 0; i < count; ++i) due[i] = reference(x[i]);
    y[count] = 12345;
    map(threads, x, y, count, op);
    wrong += check(name, count);
    for (Index i = 0; i < count; ++i) y[i] = x[i];
    activate(y, count, op);
    wrong += check(name, count);
  }
  return wrong;
}

template <class Op>
int two(const char* name, float (*reference)(float, float)) {
  int wrong = 0;
  const Broadcast cases[] = {{1, 1, 1, {1, 1, 1}, {}, {}},
                             {37, 1, 1, {1, 1, 1}, {}, {}},
                             {most, 1, 1, {1, 1, 1}, {}, {}},
                             {most, 1, 0, {1, 1, 1}, {}, {}},
                             {most, 0, 1, {1, 1, 1}, {}, {}},
                             {37, 1, 1, {1, 2, 3}, {0, 111, 37}, {0, 37, 0}},
                             {5, 1, 0, {2, 3, 4}, {60, 20, 5}, {3, 1, 0}},
                             {19, 0, 1, {2, 3, 4}, {3, 1, 0}, {228, 76, 19}},
                             {37, 1, 1, {2, 2, 444}, {32856, 16428, 37}, {0, 37, 0}},
                             {40000, 1, 1, {1, 1, 3}, {0, 0, 100}, {0, 0, 40}}};
  for (const Broadcast& over : cases) {
    const Index count = over.rows() * over.count;
    if (count > most + 60000) return std::printf("too many elements\n");
    static float wide[most + 60000 + 1];
    wide[count] = 12345;
    map<Op>(threads, x, other, wide, over);
    for (Index i = 0; i < count; ++i) {
      const Index row = i / over.count, column = i % over.count;
      const float a = x[over.at(row, over.a_steps) + column * over.a_step];
      const float b = other[over.at(row, over.b_steps) + column * over.b_step];
      if (!differ(wide[i], reference(a, b))) continue;
      wrong += std::printf("%s: %g for %g, %g in row %td\n", name, double(wide[i]), double(a), double(b), row);
      break;
    }
    if (wide[count] != 12345) wrong += std::printf("%s wrote past the end\n", name);
  }
  for (Index i = 0; i < most; ++i) due[i] = reference(x[i], other[i]), y[i] = other[i];
  y[most] = 12345;
  map<Op>(threads, x, y, y, cases[2]);
  return wrong + check(name, most);
}

float sigmoid_of(float v) { return float(1 / (1 + std::exp(-double(v)))); }
float clipped(float v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

int run() {
  for (Index i = 0; i < most; ++i) {
    x[i] = float(std::int64_t{i} * 7919 % 2003 - 1001) / 90;
    other[i] = float(std::int64_t{i} * 104729 % 997) / 100 - 4;
  }
  x[0] = -0.5f, x[2] = NAN, x[14] = INFINITY, x[29] = 88, x[30] = -88, other[1] = NAN, other[3] = -INFINITY;
  int wrong = one<Relu>("Relu", [](float v) { return v < 0 ? 0 : v; });
  wrong += one("LeakyRelu", [](float v) { return v < 0 ? v * 0.1f : v; }, LeakyRelu{0.1f});
  wrong += one("ThresholdedRelu", [](float v) { return v > 0.5f ? v : 0; }, ThresholdedRelu{0.5f});
  wrong += one("Clip", [](float v) { return v < -1 ? -1 : v > 6 ? 6 : v; }, Clip{-1, 6});
  wrong += one("HardSigmoid", [](float v) { return clipped(v * 0.2f + 0.5f); }, HardSigmoid{0.2f, 0.5f});
  wrong += one<HardSwish>("HardSwish", [](float v) { return v * clipped(v / 6 + 0.5f); });
  wrong += one<Sigmoid>("Sigmoid", sigmoid_of);
  wrong += one("Swish", [](float v) { return v * sigmoid_of(1.5f * v); }, Swish{1.5f});
  wrong += one<Tanh>("Tanh", [](float v) { return std::tanh(v); });
  wrong += one<Exp>("Exp", [](float v) { return std::exp(v); });
  wrong += one<Log>("Log", [](float v) { return std::log(v); });
  wrong += one<Erf>("Erf", [](float v) { return std::erf(v); });
  wrong += one<Gelu>("Gelu", [](float v) { return float(v / 2.0 * (1 + std::erf(v * std::sqrt(0.5)))); });
  wrong += one<GeluTanh>("GeluTanh", [](float v) {
    return float(v / 2.0 * (1 + std::tanh(std::sqrt(2 / 3.14159265358979) * (v + 0.044715 * v * v * v))));
  });
  wrong += one<Softplus>("Softplus", [](float v) { return (v < 0 ? 0 : v) + std::log1p(std::exp(-std::fabs(v))); });
  wrong += one<Softsign>("Softsign", [](float v) { return v / (1 + std::fabs(v)); });
  wrong += one<Mish>("Mish", [](float v) {
    return v * std::tanh((v < 0 ? 0 : v) + std::log1p(std::exp(-std::fabs(v))));
  });
  wrong += one("Elu", [](float v) { return v < 0 ? 2 * std::expm1(v) : v; }, Elu{2});
  wrong += one("Celu", [](float v) { return v < 0 ? 2 * std::expm1(v / 2) : v; }, Celu{2, 0.5f});
  wrong += one("Selu", [](float v) { return 1.05f * (v > 0 ? v : 1.67f * std::expm1(v)); }, Selu{1.67f, 1.05f});
  wrong += one<Abs>("Abs", [](float v) { return std::fabs(v); });
  wrong += one<Neg>("Neg", [](float v) { return -v; });
  wrong += one<Reciprocal>("Reciprocal", [](float v) { return 1 / v; });
  wrong += one<Sqrt>("Sqrt", [](float v) { return std::sqrt(v); });
  wrong += one<Square>("Square", [](float v) { return v * v; });
  wrong += one<Cube>("Cube", [](float v) { return v * v * v; });
  wrong += one("Scale", [](float v) { return v * 3; }, Scale{3});
  wrong += two<Add>("Add", [](float a, float b) { return a + b; });
  wrong += two<Sub>("Sub", [](float a, float b) { return a - b; });
  wrong += two<Mul>("Mul", [](float a, float b) { return a * b; });
  wrong += two<Div>("Div", [](float a, float b) { return a / b; });
  wrong += two<Max>("Max", [](float a, float b) { return b > a || std::isnan(b) ? b : a; });
  wrong += two<Min>("Min", [](float a, float b) { return b < a || std::isnan(b) ? b : a; });
  wrong += two<PRelu>("PRelu", [](float a, float b) { return a < 0 ? a * b : a; });
  return wrong != 0;
}

}  // namespace NETGLOT_NAMESPACE

int main() { return NETGLOT_NAMESPACE::run(); }
