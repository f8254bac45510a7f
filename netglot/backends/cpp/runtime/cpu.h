// What the processor that a program runs on can do.
#pragma once

#include "tensor.h"

#if defined(__GNUC__) && defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace netglot {

/// The highest level that this processor has and that is not above `most`.
inline Level supported(Level most) {
#if defined(__GNUC__) && defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && most >= Level::avx512) return Level::avx512;
  if (avx2 && most >= Level::avx2) return Level::avx2;
#endif
  return most < Level::baseline ? most : Level::baseline;
}

/// Whether it multiplies and adds four pairs of bytes at once: VNNI on x86-64, the dot products of AArch64.
inline bool has_dot_products() {
#if defined(__GNUC__) && defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512vnni");
#elif defined(__GNUC__) && defined(__aarch64__) && defined(__linux__)
  return (getauxval(AT_HWCAP) & (1UL << 20)) != 0;  // HWCAP_ASIMDDP
#elif defined(__APPLE__) && defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

}  // namespace netglot
