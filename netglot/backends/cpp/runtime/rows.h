// Operators along lines of float32 tensors that lie in memory without gaps: softmax, sums, normalisation.
//
//   netglot::lines(parallel, x, y, {197, 197, 1}, netglot::SoftmaxLine<false>{});
//
// A tensor is seen as x[outer, count, inner] and a line runs along `count`. Where inner is one, a line lies in one piece
// and is worked on a vector at a time; else a vector holds elements of as many lines. y may be x where they are of the
// same size.
#pragma once

#include "map.h"

namespace NETGLOT_NAMESPACE {

struct Lines {
  Index outer, count, inner;
};

/// Some neighbouring lines, as many as a vector holds or the last few.
struct Columns {
  Index width;

  NETGLOT_TARGET NETGLOT_INLINE Floats read(const float* p) const {
    return width == lanes ? load(p) : load_part(p, width);
  }

  NETGLOT_TARGET NETGLOT_INLINE void write(float* p, Floats v) const {
    if (width == lanes) return store(p, v);
    store_part(p, v, width);
  }
};

/// The elements from `first` up to `end`; the others are replaced by `other`.
NETGLOT_TARGET NETGLOT_INLINE Floats between(Floats v, Index first, Index end, float other) {
#if NETGLOT_LANES > 1
  constexpr std::int32_t places[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Ints place;
  std::memcpy(&place, places, sizeof place);
  return select((place >= std::int32_t(first)) & (place < std::int32_t(end)), v, splat(other));
#else
  return first <= 0 && end > 0 ? v : other;
#endif
}

// -------------------------------------------------------------------------- sums

struct Itself {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats v, Floats) const { return v; }
};

struct SquaredDifference {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats v, Floats mean) const { return (v - mean) * (v - mean); }
};

struct Magnitude {
  NETGLOT_TARGET NETGLOT_INLINE Floats apply(Floats v, Floats) const { return magnitude(v); }
};

constexpr Index sum_block = 64;  // vectors that are added up in a row: sums of sums lose fewer digits

/// The sum of term(x[i], mean).
template <class Term>
NETGLOT_TARGET inline float row_sum(const float* x, Index count, float mean, const Term& term = {}) {
  const Floats m = splat(mean);
  if (count < lanes) return sum(between(term.apply(load_part(x, count), m), 0, count, 0));
  const Index whole = count / lanes * lanes;
  Floats total = between(term.apply(load(x + count - lanes), m), lanes - (count - whole), lanes, 0);
  for (Index start = 0; start < whole; start += 4 * sum_block * lanes) {
    const Index end = whole - start < 4 * sum_block * lanes ? whole : start + 4 * sum_block * lanes;
    Floats part[4] = {};
    Index i = start;
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      NETGLOT_UNROLL for (Index v = 0; v < 4; ++v) part[v] += term.apply(load(x + i + v * lanes), m);
    }
    for (; i < end; i += lanes) part[0] += term.apply(load(x + i), m);
    total += (part[0] + part[1]) + (part[2] + part[3]);
  }
  return sum(total);
}

/// The sums of term(x[i * step], mean) of some columns.
template <class Term>
NETGLOT_TARGET inline Floats column_sum(const float* x, Index count, Index step, Columns columns, Floats mean,
                                        const Term& term = {}) {
  Floats total = {};
  for (Index start = 0; start < count; start += sum_block) {
    const Index end = count - start < sum_block ? count : start + sum_block;
    Floats part = {};
    for (Index i = start; i < end; ++i) part += term.apply(columns.read(x + i * step), mean);
    total += part;
  }
  return total;
}

/// The sum of a line, or of some, times `factor`.
template <class Term>
struct SumLine {
  static constexpr bool reduces = true;  // a line to one element
  float factor;

  NETGLOT_TARGET void row(const float* x, float* y, Index count, Index) const {
    *y = row_sum<Term>(x, count, 0) * factor;
  }

  NETGLOT_TARGET void columns(const float* x, float* y, Index count, Index step, Columns columns, Index) const {
    columns.write(y, column_sum<Term>(x, count, step, columns, Floats{}) * factor);
  }
};

/// The element that Op (Max, Min) picks; NaN if one is.
template <class Op>
struct ExtremeLine {
  static constexpr bool reduces = true;  // a line to one element
  NETGLOT_TARGET void row(const float* x, float* y, Index count, Index) const {
    const Op op;
    float best = x[0];
    if (count >= lanes) {
      Floats bests = load(x + count - lanes);
      for (Index i = 0; i + lanes <= count; i += lanes) bests = op.apply(bests, load(x + i));
      float each[lanes];
      store(each, bests);
      for (const float one : each) best = pick(best, one);
    } else {
      for (Index i = 1; i < count; ++i) best = pick(best, x[i]);
    }
    *y = best;
  }

  NETGLOT_TARGET void columns(const float* x, float* y, Index count, Index step, Columns columns, Index) const {
    const Op op;
    Floats best = columns.read(x);
    for (Index i = 1; i < count; ++i) best = op.apply(best, columns.read(x + i * step));
    columns.write(y, best);
  }

  NETGLOT_TARGET static NETGLOT_INLINE float pick(float a, float b) {
    float each[lanes];
    store(each, Op().apply(splat(a), splat(b)));
    return each[0];
  }
};

// ----------------------------------------------------------------------- softmax

/// exp(x) / sum of exp(x), or its logarithm, shifted by the largest so that nothing overflows.
template <bool Log>
struct SoftmaxLine {
  static constexpr bool reduces = false;
  NETGLOT_TARGET void row(const float* x, float* y, Index count, Index) const {
    if (count < lanes) return short_row(x, y, count);
    const Index end = count - lanes, whole = count / lanes * lanes;
    Floats tops = load(x + end);
    for (Index i = 0; i < end; i += lanes) tops = larger(tops, load(x + i));
    const Floats top = splat(largest(tops)), last = load(x + end) - top;  // overlaps what is written before it
    const Floats last_exp = exp(last);
    Floats total = between(last_exp, lanes - (count - whole), lanes, 0);
    for (Index start = 0; start < whole; start += sum_block * lanes) {
      Floats part = {};
      for (Index i = start; i < whole && i < start + sum_block * lanes; i += lanes) {
        const Floats shifted = load(x + i) - top, e = exp(shifted);
        part += e;
        store(y + i, Log ? shifted : e);
      }
      total += part;
    }
    store(y + end, Log ? last : last_exp);
    finish(y, count, sum(total));
  }

  NETGLOT_TARGET void short_row(const float* x, float* y, Index count) const {
    const Floats v = between(load_part(x, count), 0, count, -infinity), shifted = v - largest(v), e = exp(shifted);
    const float total = sum(between(e, 0, count, 0));
    store_part(y, Log ? shifted - splat(std::log(total)) : e * splat(1 / total), count);
  }

  NETGLOT_TARGET static NETGLOT_INLINE void finish(float* y, Index count, float total) {
    if (Log) {
      activate(y, count, Shift{-std::log(total)});
    } else {
      activate(y, count, Scale{1 / total});
    }
  }

  NETGLOT_TARGET void columns(const float* x, float* y, Index count, Index step, Columns columns, Index) const {
    Floats top = columns.read(x), total = {};
    for (Index i = 1; i < count; ++i) top = larger(top, columns.read(x + i * step));
    for (Index i = 0; i < count; ++i) {
      const Floats shifted = columns.read(x + i * step) - top, e = exp(shifted);
      total += e;
      columns.write(y + i * step, Log ? shifted : e);
    }
    const Floats shift = log(total), factor = 1 / total;
    for (Index i = 0; i < count; ++i) {
      const Floats v = columns.read(y + i * step);
      columns.write(y + i * step, Log ? v - shift : v * factor);
    }
  }

  NETGLOT_TARGET static NETGLOT_INLINE float largest(Floats v) {
    float each[lanes];
    store(each, v);
    for (Index half = lanes / 2; half > 0; half /= 2)
      for (Index i = 0; i < half; ++i) each[i] = each[i] > each[i + half] ? each[i] : each[i + half];
    return each[0];
  }
};

// ----------------------------------------------------------------- normalisation

/// (x - mean) / sqrt(variance + epsilon) * scale + bias; without Center, the mean is taken to be zero. Scale and bias
/// (or null) are of each element of a line, or, in columns, of each line.
template <bool Center>
struct NormalLine {
  static constexpr bool reduces = false;
  const float *scale, *bias;
  float epsilon;

  NETGLOT_TARGET void row(const float* x, float* y, Index count, Index) const {
    const float mean = Center ? row_sum<Itself>(x, count, 0) / float(count) : 0;
    const float factor = 1 / std::sqrt(row_sum<SquaredDifference>(x, count, mean) / float(count) + epsilon);
    const Columns part{count < lanes ? count : lanes};
    const Index end = count < lanes ? 0 : count - lanes;
    const Floats m = splat(mean), f = splat(factor), last = finished(part.read(x + end), m, f, end, part);
    for (Index i = 0; i < end; i += lanes) store(y + i, finished(load(x + i), m, f, i, {lanes}));
    part.write(y + end, last);
  }

  NETGLOT_TARGET NETGLOT_INLINE Floats finished(Floats x, Floats mean, Floats factor, Index i, Columns columns) const {
    Floats y = (x - mean) * factor;
    if (scale != nullptr) y = y * columns.read(scale + i);
    if (bias != nullptr) y = y + columns.read(bias + i);
    return y;
  }

  NETGLOT_TARGET void columns(const float* x, float* y, Index count, Index step, Columns columns, Index line) const {
    const Floats mean = Center ? column_sum<Itself>(x, count, step, columns, Floats{}) / float(count) : Floats{};
    const Floats square = column_sum<SquaredDifference>(x, count, step, columns, mean) / float(count);
    const Floats factor = 1 / sqrt(square + epsilon);
    for (Index i = 0; i < count; ++i)
      columns.write(y + i * step, finished(columns.read(x + i * step), mean, factor, line, columns));
  }
};

/// The same over the channels of a group and all they hold: a line is a group, `inner` of each channel side by side.
struct GroupLine {
  static constexpr bool reduces = false;
  const float *scale, *bias;  ///< of each channel
  Index groups, channels, inner;  ///< channels of a group, elements of a channel
  float epsilon;

  NETGLOT_TARGET void row(const float* x, float* y, Index count, Index line) const {
    const float mean = row_sum<Itself>(x, count, 0) / float(count);
    const float factor = 1 / std::sqrt(row_sum<SquaredDifference>(x, count, mean) / float(count) + epsilon);
    for (Index channel = 0; channel < channels; ++channel) {
      const Index at = line % groups * channels + channel;
      map_range(x + channel * inner, y + channel * inner, inner, Affine{mean, factor * scale[at], bias[at]});
    }
  }
};

/// The same where the channels of an image lie side by side: x[batch, pixels, channels].
struct GroupTask {
  const float* x;
  float* y;
  const float *scale, *bias;
  Index pixels, channels, groups;
  float epsilon;

  NETGLOT_TARGET static void run(void* context, Index i, Index) {
    const GroupTask& task = *static_cast<const GroupTask*>(context);
    const Index size = task.channels / task.groups, group = i % task.groups;
    const Index start = i / task.groups * task.pixels * task.channels + group * size;
    const float* x = task.x + start;
    const float count = float(size * task.pixels), mean = task.total<Itself>(x, size, 0) / count;
    const float factor = 1 / std::sqrt(task.total<SquaredDifference>(x, size, mean) / count + task.epsilon);
    for (Index column = 0; column < size; column += lanes) {
      const Columns columns{size - column < lanes ? size - column : lanes};
      const Floats a = columns.read(task.scale + group * size + column) * factor;
      const Floats b = columns.read(task.bias + group * size + column);
      for (Index pixel = 0; pixel < task.pixels; ++pixel) {
        const Index at = pixel * task.channels + column;
        columns.write(task.y + start + at, (columns.read(x + at) - mean) * a + b);
      }
    }
  }

  template <class Term>
  NETGLOT_TARGET float total(const float* group, Index size, float mean) const {
    float all = 0;
    for (Index column = 0; column < size; column += lanes) {
      const Columns columns{size - column < lanes ? size - column : lanes};
      const Floats sums = column_sum<Term>(group + column, pixels, channels, columns, splat(mean));
      all += sum(between(sums, 0, columns.width, 0));
    }
    return all;
  }
};

/// Group normalisation of x[batch, pixels, channels], `groups` of channels each.
NETGLOT_TARGET inline void normalize_groups(const Parallel& parallel, Index batch, GroupTask task) {
  for_each(parallel, batch * task.groups, GroupTask::run, &task);
}

// --------------------------------------------------------------------- all lines

template <class Op>
struct LinesTask {
  const float* x;
  float* y;
  Lines lines;
  Index at_once;  ///< lines of one task
  Op op;

  /// From one line of y to the next along `outer`.
  NETGLOT_TARGET NETGLOT_INLINE Index step() const { return Op::reduces ? lines.inner : lines.count * lines.inner; }

  NETGLOT_TARGET static void run_rows(void* context, Index i, Index) {
    const LinesTask& task = *static_cast<const LinesTask*>(context);
    const Index first = i * task.at_once, end = first + task.at_once, count = task.lines.count;
    for (Index line = first; line < end && line < task.lines.outer; ++line)
      task.op.row(task.x + line * count, task.y + line * task.step(), count, line);
  }

  NETGLOT_TARGET static void run_columns(void* context, Index i, Index) {
    const LinesTask& task = *static_cast<const LinesTask*>(context);
    const Lines& all = task.lines;
    const Index pieces = (all.inner + task.at_once - 1) / task.at_once, outer = i / pieces;
    const Index first = i % pieces * task.at_once, left = all.inner - first;
    const float* x = task.x + outer * all.count * all.inner;
    float* y = task.y + outer * task.step();
    for (Index line = first; line < first + (left < task.at_once ? left : task.at_once); line += lanes) {
      const Columns columns{all.inner - line < lanes ? all.inner - line : lanes};
      task.op.columns(x + line, y + line, all.count, all.inner, columns, line);
    }
  }
};

/// Lines that lie in one piece.
template <class Op>
NETGLOT_TARGET void whole_lines(const Parallel& parallel, const float* x, float* y, Index outer, Index count, const Op& op) {
  const bool is_small = outer * count <= 2 * map_task;
  LinesTask<Op> task{x, y, {outer, count, 1}, is_small ? outer : count < map_task ? map_task / count : 1, op};
  for_each(parallel, (outer + task.at_once - 1) / task.at_once, task.run_rows, &task);
}

template <class Op>
NETGLOT_TARGET void lines(const Parallel& parallel, const float* x, float* y, const Lines& all, const Op& op) {
  if (all.inner == 1) return whole_lines(parallel, x, y, all.outer, all.count, op);
  const bool is_small = all.outer * all.count * all.inner <= 2 * map_task;
  const Index vectors = all.count * lanes < map_task ? map_task / (all.count * lanes) : 1;
  LinesTask<Op> task{x, y, all, is_small ? all.inner : vectors * lanes, op};
  for_each(parallel, all.outer * ((all.inner + task.at_once - 1) / task.at_once), task.run_columns, &task);
}

}  // namespace NETGLOT_NAMESPACE
