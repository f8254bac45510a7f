// Included before everything else (-include cpp_profile.h) it makes a generated model measure each of its layers: at the
// end the program writes "layer <index> <nanoseconds>" for each to stderr, the shortest of all runs.
#pragma once

#include <chrono>
#include <cstdio>

struct NetglotProfile {
  static constexpr int most = 4096;
  long long shortest[most] = {};

  void add(int layer, long long nanoseconds) {
    if (layer < most && (shortest[layer] == 0 || nanoseconds < shortest[layer])) shortest[layer] = nanoseconds;
  }

  ~NetglotProfile() {
    for (int i = 0; i < most; ++i)
      if (shortest[i] > 0) std::fprintf(stderr, "layer %d %lld\n", i, shortest[i]);
  }
};

inline NetglotProfile netglot_profile;

#define NETGLOT_LAYER(i)                                                                                        \
  do {                                                                                                          \
    const auto start = std::chrono::steady_clock::now();                                                        \
    layer_##i(run);                                                                                             \
    const auto spent = std::chrono::steady_clock::now() - start;                                                \
    netglot_profile.add(i, std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());                \
  } while (false)
