// LSTM, GRU and RNN, sample by sample and step by step.
#pragma once

#include "conv.h"
#include "dense.h"
#include "vector_math.h"

namespace NETGLOT_NAMESPACE {

/// Where one direction of a layer finds its numbers.
template <Index Steps_, Index Batch_, Index Inputs_, Index Hidden_, Index Directions, Index Direction, bool Reverse_,
          bool BatchFirst>
struct Sequence {
  static constexpr Index Steps = Steps_, Batch = Batch_, Inputs = Inputs_, Hidden = Hidden_;
  static constexpr bool Reverse = Reverse_;
  static constexpr Index x(Index t, Index b) { return (BatchFirst ? b * Steps + t : t * Batch + b) * Inputs; }
  static constexpr Index y(Index t, Index b) {
    return (BatchFirst ? (b * Steps + t) * Directions + Direction : (t * Directions + Direction) * Batch + b) * Hidden;
  }
  static constexpr Index state(Index b) {
    return (BatchFirst ? b * Directions + Direction : Direction * Batch + b) * Hidden;
  }
};

/// The tensors of one direction; what is left out is null. W is [gates * Hidden, Inputs], R [gates * Hidden, Hidden],
/// the bias that of the inputs, then that of the states, peepholes those of input, output and forget gate. `scratch`
/// holds both states and the gates.
template <class T>
struct Recurrent {
  const T *x, *w, *r, *bias;
  const std::int32_t* lengths;
  const T *first_h, *first_c, *peepholes;
  T *y, *last_h, *last_c, *scratch;
};

template <Index N, class T>
inline void copy_or_zero(const T* from, T* to) {
  for (Index i = 0; i < N; ++i) to[i] = from ? from[i] : T(0);
}

/// Calls step(x, h, c, gates), which changes h and c, for each step. Beyond the end of its sequence a sample keeps its
/// state and gives zeros.
template <class S, class T, class Step>
void each_step(const Recurrent<T>& a, Step step) {
  constexpr Index H = S::Hidden;
  T *h = a.scratch, *c = h + H, *gates = c + H;
  for (Index b = 0; b < S::Batch; ++b) {
    copy_or_zero<H>(a.first_h ? a.first_h + S::state(b) : nullptr, h);
    copy_or_zero<H>(a.first_c ? a.first_c + S::state(b) : nullptr, c);
    for (Index i = 0; i < S::Steps; ++i) {
      const Index t = S::Reverse ? S::Steps - 1 - i : i;
      const bool valid = !a.lengths || t < a.lengths[b];
      if (valid) step(a.x + S::x(t, b), h, c, gates);
      if (a.y) copy_or_zero<H>(valid ? h : nullptr, a.y + S::y(t, b));
    }
    const bool some = !a.lengths || a.lengths[b] > 0;  // what ends before it begins has no state
    if (a.last_h) copy_or_zero<H>(some ? h : nullptr, a.last_h + S::state(b));
    if (a.last_c) copy_or_zero<H>(some ? c : nullptr, a.last_c + S::state(b));
  }
}

/// What the inputs give to row `row` of all gates, with their bias.
template <class S, class T>
inline T from_inputs(const Recurrent<T>& a, const T* x, Index row) {
  return dot<S::Inputs, 1>(x, a.w + row * S::Inputs) + (a.bias ? a.bias[row] : T(0));
}

/// What the state gives to row `row` of `Gates` gates, with their bias.
template <class S, Index Gates, class T>
inline T from_state(const Recurrent<T>& a, const T* h, Index row) {
  return dot<S::Hidden, 1>(h, a.r + row * S::Hidden) + (a.bias ? a.bias[Gates * S::Hidden + row] : T(0));
}

template <class S, class T, class F>
void rnn(const Recurrent<T>& a, F f) {
  constexpr Index H = S::Hidden;
  each_step<S>(a, [&](const T* x, T* h, T*, T* gates) {
    for (Index j = 0; j < H; ++j) gates[j] = f(from_inputs<S>(a, x, j) + from_state<S, 1>(a, h, j));
    copy_or_zero<H>(gates, h);
  });
}

/// The gates are update, reset, hidden. LinearBeforeReset: the reset gate multiplies the product, not the state.
template <class S, bool LinearBeforeReset, class T, class F, class G>
void gru(const Recurrent<T>& a, F f, G g) {
  constexpr Index H = S::Hidden;
  each_step<S>(a, [&](const T* x, T* h, T* reset, T* gates) {
    for (Index j = 0; j < 2 * H; ++j) gates[j] = f(from_inputs<S>(a, x, j) + from_state<S, 3>(a, h, j));
    for (Index j = 0; j < H; ++j) reset[j] = gates[H + j] * h[j];
    for (Index j = 0; j < H; ++j) {
      const T inner = LinearBeforeReset ? gates[H + j] * from_state<S, 3>(a, h, 2 * H + j)
                                        : from_state<S, 3>(a, reset, 2 * H + j);
      gates[2 * H + j] = g(from_inputs<S>(a, x, 2 * H + j) + inner);
    }
    for (Index j = 0; j < H; ++j) h[j] = (1 - gates[j]) * gates[2 * H + j] + gates[j] * h[j];
  });
}

/// The gates are input, output, forget, cell. Coupled: what is not let in is kept.
template <class S, bool Coupled, class T, class F, class G, class O>
void lstm(const Recurrent<T>& a, F f, G g, O o) {
  constexpr Index H = S::Hidden;
  each_step<S>(a, [&](const T* x, T* h, T* c, T* gates) {
    for (Index j = 0; j < 4 * H; ++j) gates[j] = from_inputs<S>(a, x, j) + from_state<S, 4>(a, h, j);
    for (Index j = 0; j < H; ++j) {
      const auto peep = [&](Index gate) { return a.peepholes ? a.peepholes[gate * H + j] * c[j] : T(0); };
      const T in = f(gates[j] + peep(0));
      const T keep = Coupled ? 1 - in : f(gates[2 * H + j] + peep(2));
      c[j] = keep * c[j] + in * g(gates[3 * H + j]);
      h[j] = f(gates[H + j] + peep(1)) * o(c[j]);
    }
  });
}

/// One direction of an LSTM of float32 with sigmoid and tanh, whose weights are packed as conv.h reads them.
struct Cells {
  Index steps, batch, hidden, directions, direction;
  bool reverse;

  constexpr Index state() const { return batch * hidden; }
};

/// New states h and c of `width` cells (at most a vector of them) from their gates, `hidden` floats apart.
NETGLOT_TARGET NETGLOT_INLINE void next_states(const float* gates, Index hidden, Index width, float* h, float* c) {
  const bool whole = width == lanes;
  Floats gate[4];
  NETGLOT_UNROLL for (Index i = 0; i < 4; ++i)
      gate[i] = whole ? load(gates + i * hidden) : load_part(gates + i * hidden, width);
  const Floats kept = sigmoid(gate[2]) * (whole ? load(c) : load_part(c, width));
  const Floats cell = kept + sigmoid(gate[0]) * tanh(gate[3]), state = sigmoid(gate[1]) * tanh(cell);
  if (whole) return store(c, cell), store(h, state);
  store_part(c, cell, width);
  store_part(h, state, width);
}

/// `given` is what the inputs and the biases give to the gates, [steps, batch, 4 * hidden]; r are the packed weights of
/// the states. What is left out is null. `scratch` holds both states and the gates, 6 * batch * hidden.
NETGLOT_TARGET inline void lstm(const Cells& s, const float* given, const float* r, const float* first_h,
                                const float* first_c, float* y, float* last_h, float* last_c, float* scratch,
                                const netglot::Parallel& parallel) {
  const Index hidden = s.hidden, size = s.state();
  const std::size_t bytes = std::size_t(size) * sizeof(float);
  float *h = scratch, *c = h + size, *gates = c + size;
  std::memset(scratch, 0, 2 * bytes);
  if (first_h != nullptr) std::memcpy(h, first_h + s.direction * size, bytes);
  if (first_c != nullptr) std::memcpy(c, first_c + s.direction * size, bytes);
  const Window product{1, 1, s.batch, hidden, 1, s.batch, 4 * hidden, 1, 1, 1, 1, 0, 0, 1, 1, 1};
  for (Index i = 0; i < s.steps; ++i) {
    const Index t = s.reverse ? s.steps - 1 - i : i;
    conv(product, {nullptr, given + t * 4 * size, -infinity, infinity}, h, r, nullptr, {nullptr, 0, 0}, gates, parallel);
    for (Index b = 0; b < s.batch; ++b)
      for (Index j = 0; j < hidden; j += lanes)
        next_states(gates + b * 4 * hidden + j, hidden, hidden - j < lanes ? hidden - j : lanes, h + b * hidden + j,
                    c + b * hidden + j);
    if (y != nullptr) std::memcpy(y + (t * s.directions + s.direction) * size, h, bytes);
  }
  if (last_h != nullptr) std::memcpy(last_h + s.direction * size, h, bytes);
  if (last_c != nullptr) std::memcpy(last_c + s.direction * size, c, bytes);
}

}  // namespace NETGLOT_NAMESPACE
