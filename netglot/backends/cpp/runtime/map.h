// Operators on each element of float32 tensors that lie in memory without gaps and in the same order.
//
//   netglot::map<netglot::Sigmoid>(parallel, x, y, count);
//   netglot::map(parallel, x, y, count, netglot::LeakyRelu{0.1f});
//   netglot::map<netglot::Add>(parallel, a, b, y, over);  // two operands, broadcast as `over` says
//   netglot::activate<netglot::Sigmoid>(y, count);        // in place, in a task that has just written y
//
// An operation is a struct with a function `apply` of vectors, and its parameters as members. y may be x, a or b.
#pragma once

#include "parallel.h"
#include "vector_math.h"

namespace NETGLOT_NAMESPACE {

constexpr Index map_task = 32768;  // elements that are worth a task of their own

// ------------------------------------------------------------------ one operand

struct Relu {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return larger(Floats{}, x); }
};

struct LeakyRelu {
  float alpha;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return select(x < 0, x * alpha, x); }
};

struct ThresholdedRelu {
  float alpha;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return select(x > alpha, x, Floats{}); }
};

struct Clip {
  float low, high;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return limited(x, splat(low), splat(high)); }
};

struct HardSigmoid {
  float alpha, beta;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const {
    return limited(x * alpha + beta, Floats{}, splat(1));
  }
};

struct HardSwish {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const {
    return x * limited(x * (1.f / 6) + 0.5f, Floats{}, splat(1));
  }
};

struct Sigmoid {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return sigmoid(x); }
};

struct Swish {
  float alpha = 1;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return x * sigmoid(x * alpha); }
};

struct Tanh {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return tanh(x); }
};

struct Exp {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return exp(x); }
};

struct Log {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return log(x); }
};

struct Erf {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return erf(x); }
};

struct Gelu {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const {
    return x * 0.5f * (erf(x * 0.70710678118f) + 1);
  }
};

/// x / 2 (1 + tanh(u)), which is x sigmoid(2 u).
struct GeluTanh {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const {
    const Floats twice = x * 1.59576912161f * (x * x * 0.044715f + 1);  // 2 sqrt(2 / pi) (x + 0.044715 x^3)
    return x * sigmoid(twice);
  }
};

struct Softplus {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return softplus(x); }
};

struct Softsign {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return x / (magnitude(x) + 1); }
};

/// x tanh(log(1 + e^x)), of which only e^x is left; where that is large, x.
struct Mish {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const {
    const Floats e = exp(smaller(splat(20), x)), n = e * (e + 2);
    return x * (n / (n + 2));
  }
};

struct Elu {
  float alpha = 1;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return select(x < 0, expm1(x) * alpha, x); }
};

struct Celu {
  float alpha, inverse;  ///< and 1 / alpha
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return select(x < 0, expm1(x * inverse) * alpha, x); }
};

struct Selu {
  float alpha, gamma;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const {
    return select(x > 0, x, expm1(x) * alpha) * gamma;
  }
};

struct Abs {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return magnitude(x); }
};

struct Neg {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return -x; }
};

struct Reciprocal {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return 1 / x; }
};

struct Sqrt {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return sqrt(x); }
};

struct Square {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return x * x; }
};

struct Cube {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return x * x * x; }
};

struct Scale {
  float factor;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return x * factor; }
};

struct Shift {
  float offset;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return x + offset; }
};

struct Affine {
  float mean, factor, offset;
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats x) const { return (x - mean) * factor + offset; }
};

/// y = op(x), by one thread. The last vector overlaps the one before it, so it is read before anything is written.
template <class Op>
NETGLOT_TARGET void map_range(const float* x, float* y, Index count, const Op& given) {
  const Op op = given;  // a copy that no store can change, so that its members stay in registers
  if (count < lanes) return store_part(y, op.apply(load_part(x, count)), count);
  const Floats last = op.apply(load(x + count - lanes));
  for (Index i = 0; i + lanes <= count; i += lanes) store(y + i, op.apply(load(x + i)));
  store(y + count - lanes, last);
}

/// y = op(y), by one thread.
template <class Op>
NETGLOT_TARGET void activate(float* y, Index count, const Op& op = {}) {
  map_range(y, y, count, op);
}

template <class Op>
struct MapTask {
  const float* x;
  float* y;
  Index count;
  Op op;

  NETGLOT_TARGET static void run(void* context, Index i, Index) {
    const MapTask& task = *static_cast<const MapTask*>(context);
    const Index start = i * map_task, left = task.count - start;
    map_range(task.x + start, task.y + start, left < map_task ? left : map_task, task.op);
  }
};

template <class Op>
NETGLOT_TARGET void map(const Parallel& parallel, const float* x, float* y, Index count, const Op& op = {}) {
  if (count <= 2 * map_task) return map_range(x, y, count, op);
  MapTask<Op> task{x, y, count, op};
  for_each(parallel, (count + map_task - 1) / map_task, MapTask<Op>::run, &task);
}

// ----------------------------------------------------------------- two operands

struct Add {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats a, Floats b) const { return a + b; }
};

struct Sub {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats a, Floats b) const { return a - b; }
};

struct Mul {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats a, Floats b) const { return a * b; }
};

struct Div {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats a, Floats b) const { return a / b; }
};

struct Max {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats a, Floats b) const { return maximum(a, b); }
};

struct Min {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats a, Floats b) const { return minimum(a, b); }
};

struct PRelu {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats a, Floats b) const { return select(a < 0, a * b, a); }
};

/// How two operands are broadcast: y is sizes[0] x sizes[1] x sizes[2] rows of `count` elements; each operand has steps
/// from row to row, and within a row either the elements lie side by side (step 1) or there is only one (step 0).
struct Broadcast {
  Index count, a_step, b_step;
  Index sizes[3], a_steps[3], b_steps[3];

  NETGLOT_INLINE Index rows() const { return sizes[0] * sizes[1] * sizes[2]; }

  NETGLOT_INLINE Index at(Index row, const Index* steps) const {
    return row % sizes[2] * steps[2] + row / sizes[2] % sizes[1] * steps[1] + row / sizes[2] / sizes[1] * steps[0];
  }
};

template <Index Step>
NETGLOT_TARGET NETGLOT_INLINE Floats operand(const float* x, Index i) {
  return Step == 0 ? splat(*x) : load(x + i);
}

template <Index Step>
NETGLOT_TARGET NETGLOT_INLINE Floats operand_part(const float* x, Index count) {
  return Step == 0 ? splat(*x) : load_part(x, count);
}

/// y = op(a, b) for one row, by one thread.
template <class Op, Index StepA, Index StepB>
NETGLOT_TARGET void map_row(const float* a, const float* b, float* y, Index count, const Op& op) {
  if (count < lanes) return store_part(y, op.apply(operand_part<StepA>(a, count), operand_part<StepB>(b, count)), count);
  const Index end = count - lanes;
  const Floats last = op.apply(operand<StepA>(a, end), operand<StepB>(b, end));
  for (Index i = 0; i <= end; i += lanes) store(y + i, op.apply(operand<StepA>(a, i), operand<StepB>(b, i)));
  store(y + end, last);
}

template <class Op>
struct BroadcastTask {
  const float *a, *b;
  float* y;
  const Broadcast& over;
  Op op;
  Index rows, columns, pieces;  ///< of one task; tasks side by side in a row

  NETGLOT_TARGET static void run(void* context, Index i, Index) {
    const BroadcastTask& task = *static_cast<const BroadcastTask*>(context);
    const Broadcast& over = task.over;
    const Index first = i / task.pieces * task.rows, last = first + task.rows, column = i % task.pieces * task.columns;
    const Index left = over.count - column, count = left < task.columns ? left : task.columns;
    for (Index row = first; row < last && row < over.rows(); ++row) {
      const float* a = task.a + over.at(row, over.a_steps) + column * over.a_step;
      const float* b = task.b + over.at(row, over.b_steps) + column * over.b_step;
      float* y = task.y + row * over.count + column;
      if (over.a_step == 0) {
        map_row<Op, 0, 1>(a, b, y, count, task.op);
      } else if (over.b_step == 0) {
        map_row<Op, 1, 0>(a, b, y, count, task.op);
      } else {
        map_row<Op, 1, 1>(a, b, y, count, task.op);
      }
    }
  }
};

template <class Op>
NETGLOT_TARGET void map(const Parallel& parallel, const float* a, const float* b, float* y, const Broadcast& over,
                        const Op& op = {}) {
  const Index rows = over.rows(), count = over.count;
  BroadcastTask<Op> task{a, b, y, over, op, rows, count, 1};
  if (rows * count <= 2 * map_task) return task.run(&task, 0, 0);
  task.rows = count < map_task ? map_task / count : 1;
  task.columns = count < map_task ? count : map_task;
  task.pieces = (count + task.columns - 1) / task.columns;
  for_each(parallel, (rows + task.rows - 1) / task.rows * task.pieces, task.run, &task);
}

}  // namespace NETGLOT_NAMESPACE
