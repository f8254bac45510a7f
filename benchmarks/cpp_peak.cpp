// The most floating-point operations that one core does in a second, on each level of instructions: multiplications and
// additions of vectors that are all in registers. Written as "<level> <GFLOP/s>" for the level it is compiled for.
#include <chrono>
#include <cstdio>

#include "simd.h"

namespace NETGLOT_NAMESPACE {

constexpr int chains = NETGLOT_LANES == 16 ? 24 : 12;  // as many as hide the latency and leave registers
constexpr int steps = 4000;

NETGLOT_TARGET float burn() {
  Floats chain[chains];
  for (int i = 0; i < chains; ++i) chain[i] = splat(static_cast<float>(i));
  const Floats factor = splat(0.999f), more = splat(1e-3f);
  for (int step = 0; step < steps; ++step) {
    NETGLOT_UNROLL for (int i = 0; i < chains; ++i) chain[i] = chain[i] * factor + more;
  }
  float all = 0;
  for (int i = 0; i < chains; ++i) all += sum(chain[i]);
  return all;
}

}  // namespace NETGLOT_NAMESPACE

int main() {
  double best = 0;
  volatile float kept = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto start = std::chrono::steady_clock::now();
    kept = kept + NETGLOT_NAMESPACE::burn();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    const double rate = 2.0 * NETGLOT_LANES * NETGLOT_NAMESPACE::chains * NETGLOT_NAMESPACE::steps / spent.count();
    if (rate > best) best = rate;
  }
  std::printf("%d %.1f\n", NETGLOT_LEVEL, best / 1e9);
}
