"""Runs graphs on many samples, here or on an executor's workers, and reduces what their tensors hold chunk by chunk.

The samples are cut into chunks of CHUNK whatever computes them, and the results come in the order of the chunks: what a
caller sums up in that order, floats included, does not depend on the executor or its number of workers.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np

from netglot.errors import ConversionError
from netglot.ir.graph import Graph
from netglot.quantize.executors import open_executor as open_executor
from netglot.runtimes.onnxruntime import OnnxRuntime

CHUNK = 8  # samples that go to a worker together; sums are taken within a chunk first, so it is the same for everyone
IN_FLIGHT = 2  # chunks handed out per worker: one to compute, one to follow at once
KEPT = 4  # sessions that a worker keeps open
WORKERS = 4  # of executors that don't tell

Arrays = Mapping[str, np.ndarray]
Progress = Callable[[int, int], None]  # samples done, of how many
T = TypeVar("T")


class SampleSet(Protocol):
    """Sets of inputs by name, in an order that is the same every time."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Arrays]: ...


class Chunk(Sequence[tuple[Arrays, ...]]):
    """For every sample a dict of the wanted tensors for each graph.

    The graphs run when a sample is asked for, so that the tensors of one sample are in memory and not those of all:
    go through it once.
    """

    def __init__(self, runners: Sequence[Runner], samples: Sequence[Arrays]) -> None:
        self._runners, self._samples = runners, samples

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> tuple[Arrays, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> Chunk: ...
    def __getitem__(self, index: int | slice) -> tuple[Arrays, ...] | Chunk:
        if isinstance(index, slice):
            return Chunk(self._runners, self._samples[index])
        return tuple(runner.run(self._samples[index]) for runner in self._runners)

    def __iter__(self) -> Iterator[tuple[Arrays, ...]]:
        return (self[index] for index in range(len(self)))


class Runner:
    """An open session that gives the wanted tensors of a graph, those of its inputs that are `fed` among them."""

    def __init__(self, model: Graph | bytes | None, fed: Sequence[str]) -> None:
        self._session = None if model is None else OnnxRuntime(model)
        self._fed = fed

    def run(self, sample: Arrays) -> Arrays:
        computed = self._session.run(sample) if self._session else {}
        return {name: sample[name] for name in self._fed} | computed


def reduce_samples(
    graphs: Sequence[Graph],
    tensors: Sequence[Sequence[str]],
    samples: SampleSet,
    step: Callable[[Chunk], T],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Iterator[T]:
    """What `step` makes of every chunk of samples, in order.

    `tensors[i]` are the names of the tensors of `graphs[i]` that `step` gets, inner ones too. ONNX Runtime computes
    them without optimisations, as they stand in the graph. With an `executor` of other processes or machines `step` and
    its results are pickled, and a graph goes there as bytes, about once per worker; threads share the sessions.
    ConversionError where a tensor is not there, a graph does not run or a worker dies.
    """
    wanted = [_Wanted.of(graph, names) for graph, names in zip(graphs, tensors, strict=True)]
    workers = _workers(executor)
    work: _LocalWork[T] | _RemoteWork[T]
    if executor is None or isinstance(executor, ThreadPoolExecutor):
        work = _LocalWork(executor or _Inline(), wanted, step)
    else:
        work = _RemoteWork(executor, wanted, step, workers)
    done = 0
    for size, result in _in_order(work, samples, IN_FLIGHT * workers if executor else 1):
        done += size
        if progress:
            progress(done, len(samples))
        yield result


def _workers(executor: Executor | None) -> int:
    """How many chunks it computes at once; the pools of the standard library and Dask's tell, if not officially."""
    if client := getattr(executor, "_client", None):
        return sum(client.nthreads().values()) or WORKERS
    return int(getattr(executor, "_max_workers", WORKERS))


@dataclass(frozen=True)
class _Wanted:
    """A graph cut to what is asked for (None: nothing is to be computed), and names of inputs that are asked for."""

    graph: Graph | None
    fed: list[str]

    @staticmethod
    def of(graph: Graph, names: Sequence[str]) -> _Wanted:
        missing = [name for name in names if name not in graph]
        if missing:
            raise ConversionError(f"the graph '{graph.name}' has no tensor called {', '.join(missing)}")
        copy = graph.copy()
        values = [copy[name] for name in dict.fromkeys(names)]
        inner = [value for value in values if value not in copy.inputs]
        copy.cut(outputs=inner)
        return _Wanted(copy if inner else None, [value.name for value in values if value in copy.inputs])


# ------------------------------------------------------------ handing out chunks


@dataclass
class _Job(Generic[T]):
    """A chunk in flight."""

    samples: list[Arrays]
    future: Future[T]


def _in_order(
    work: _LocalWork[T] | _RemoteWork[T], samples: Iterable[Arrays], limit: int
) -> Iterator[tuple[int, T]]:  # fmt: skip
    """Number of samples and result of every chunk, with at most `limit` chunks in flight."""
    jobs: deque[_Job[Any]] = deque()
    try:
        for chunk in _chunks(samples):
            jobs.append(work.start(chunk))
            if len(jobs) == limit:
                yield _finished(work, jobs.popleft())
        while jobs:
            yield _finished(work, jobs.popleft())
    finally:
        for job in jobs:
            job.future.cancel()


def _chunks(samples: Iterable[Arrays]) -> Iterator[list[Arrays]]:
    rest = iter(samples)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _finished(work: _LocalWork[T] | _RemoteWork[T], job: _Job[Any]) -> tuple[int, T]:
    try:
        return len(job.samples), work.finish(job)
    except Exception as error:
        if not _is_lost(error):
            raise
        what = f"a worker of the executor is gone: {type(error).__name__} {error}".rstrip()
        hint = 'Was its memory enough for the graph? A script that starts processes needs `if __name__ == "__main__":`.'
        raise ConversionError(what, hint=hint) from error


def _is_lost(error: Exception) -> bool:
    """Whether the executor failed, not what it computed; `distributed` is named, as it need not be installed."""
    return isinstance(error, (BrokenExecutor, CancelledError)) or type(error).__module__.startswith("distributed.")


class _Inline(Executor):
    """Computes at once, in the caller's thread."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class _LocalWork(Generic[T]):
    """In this process: the graphs are not turned into bytes, their constants not copied."""

    def __init__(self, executor: Executor, wanted: Sequence[_Wanted], step: Callable[[Chunk], T]) -> None:
        self._executor, self._step = executor, step
        self._runners = [Runner(item.graph, item.fed) for item in wanted]

    def start(self, samples: list[Arrays]) -> _Job[T]:
        return _Job(samples, self._executor.submit(self._step, Chunk(self._runners, samples)))

    def finish(self, job: _Job[T]) -> T:
        return job.future.result()


class _RemoteWork(Generic[T]):
    """In other processes: the first chunks take the models along, a worker that has none is sent its chunk again."""

    def __init__(self, executor: Executor, wanted: Sequence[_Wanted], step: Callable[[Chunk], T], workers: int) -> None:
        self._executor, self._step, self._first = executor, step, workers
        self._full = [_Sent.of(item) for item in wanted]
        self._known = [_Sent(item.key, None) for item in self._full]

    def start(self, samples: list[Arrays]) -> _Job[tuple[T] | None]:
        self._first -= 1
        return _Job(samples, self._submit(self._full if self._first >= 0 else self._known, samples))

    def finish(self, job: _Job[tuple[T] | None]) -> T:
        found = job.future.result() or self._submit(self._full, job.samples).result()
        assert found is not None
        return found[0]

    def _submit(self, sent: list[_Sent], samples: list[Arrays]) -> Future[tuple[T] | None]:
        return self._executor.submit(_compute, sent, samples, self._step)


# --------------------------------------------------------------- in the workers


@dataclass(frozen=True)
class _Sent:
    """A graph on its way: a key by which workers know it and, unless they have it already, model and names."""

    key: str
    content: tuple[bytes | None, list[str]] | None

    @staticmethod
    def of(wanted: _Wanted) -> _Sent:
        model = None if wanted.graph is None else _serialised(wanted.graph)
        return _Sent(hashlib.sha256((model or b"") + repr(wanted.fed).encode()).hexdigest(), (model, wanted.fed))


def _serialised(graph: Graph) -> bytes:
    from netglot.backends.onnx.writer import to_model
    from netglot.passes.expand_extensions import expand_extensions

    expand_extensions(graph)
    graph.drop_unneeded()
    try:
        return to_model(graph).SerializeToString()
    except ValueError as error:  # protobuf's limit
        what = f"the graph '{graph.name}' can't be sent to other processes: {error}"
        raise ConversionError(what, hint="A model above 2 GB runs in this process only; take threads:N.") from None


_open: OrderedDict[str, Runner] = OrderedDict()  # of a worker: the last few, the latest at the end
_lock = threading.Lock()  # Dask's workers have threads


def _compute(sent: Sequence[_Sent], samples: list[Arrays], step: Callable[[Chunk], T]) -> tuple[T] | None:
    """What `step` makes of the chunk; None where the worker lacks a model."""
    runners = [_runner(item) for item in sent]
    known = [runner for runner in runners if runner]
    return (step(Chunk(known, samples)),) if len(known) == len(runners) else None


def _runner(sent: _Sent) -> Runner | None:
    with _lock:
        if sent.key not in _open:
            if sent.content is None:
                return None
            _open[sent.key] = Runner(*sent.content)
        _open.move_to_end(sent.key)
        while len(_open) > KEPT:
            _open.popitem(last=False)
        return _open[sent.key]
