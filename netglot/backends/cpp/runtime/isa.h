// The processor that this translation unit is for. The layers of a model are compiled once for each level of a family
// of processors, and the best level that the machine has is picked when a model is constructed.
//
// Everything that is compiled more than once lives in NETGLOT_NAMESPACE, so that the linker never mixes the levels; a
// function that may use a level's instructions says NETGLOT_TARGET (code that is inlined into it follows it). Nothing
// but such functions uses them: no compiler flag is needed.
#pragma once

#if defined(__GNUC__) && defined(__x86_64__)
#define NETGLOT_X86 1
#endif

#if defined(NETGLOT_X86) && NETGLOT_LEVEL == 2
#define NETGLOT_NAMESPACE netglot::avx512
#define NETGLOT_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define NETGLOT_LANES 16
#elif defined(NETGLOT_X86) && NETGLOT_LEVEL == 1
#define NETGLOT_NAMESPACE netglot::avx2
#define NETGLOT_TARGET __attribute__((target("avx2,fma,f16c")))
#define NETGLOT_LANES 8
#elif defined(NETGLOT_X86)
#define NETGLOT_NAMESPACE netglot::sse2
#define NETGLOT_TARGET
#define NETGLOT_LANES 4
#elif defined(__GNUC__) && defined(__aarch64__)
#define NETGLOT_NAMESPACE netglot::neon
#define NETGLOT_TARGET
#define NETGLOT_LANES 4
#else
#define NETGLOT_NAMESPACE netglot::scalar
#define NETGLOT_TARGET
#define NETGLOT_LANES 1
#endif

// Whether the layers are compiled for this level: for all that the family has, or for the one that NETGLOT_ONLY names.
#if defined(NETGLOT_ONLY)
#define NETGLOT_IS_BUILT (NETGLOT_ONLY == NETGLOT_LEVEL)
#elif defined(NETGLOT_X86)
#define NETGLOT_IS_BUILT 1
#else
#define NETGLOT_IS_BUILT (NETGLOT_LEVEL == 0)
#endif

#if NETGLOT_LEVEL == 2
#define NETGLOT_LEVEL_NAME level_2
#elif NETGLOT_LEVEL == 1
#define NETGLOT_LEVEL_NAME level_1
#else
#define NETGLOT_LEVEL_NAME level_0
#endif

#if defined(__GNUC__)
#define NETGLOT_INLINE inline __attribute__((always_inline))
#else
#define NETGLOT_INLINE inline
#endif

// A function that calls are never left out of: GCC 12 takes layers whose loops it inlines from functions without
// NETGLOT_TARGET for pure ones, and drops the calls.
#if defined(__GNUC__) && !defined(__clang__)
#define NETGLOT_OPAQUE __attribute__((noipa))
#else
#define NETGLOT_OPAQUE
#endif

// Loops of a few steps that must become straight code, so that what they index stays in registers.
#if defined(__clang__)
#define NETGLOT_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define NETGLOT_UNROLL _Pragma("GCC unroll 64")
#else
#define NETGLOT_UNROLL
#endif
