"""Who computes: an executor from its name on the command line."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from netglot.errors import ConversionError

CONNECT_SECONDS = 10
POSSIBLE = "Expected threads:N, processes:N or dask://HOST:PORT."


@contextmanager
def open_executor(text: str) -> Iterator[Executor]:
    """The executor that "threads:N", "processes:N" or "dask://HOST:PORT" names; closed at the end.

    A program that asks for processes must be importable: they start afresh, as forked ones would share ONNX Runtime's
    state. A Dask cluster runs the code that it is sent, and its workers need netglot. ConversionError where the name
    is not understood, or there is no such cluster.
    """
    kind, _, rest = text.partition(":")
    if kind == "dask" and rest.startswith("//") and rest[2:]:
        with _dask(rest[2:]) as executor:
            yield executor
        return
    if kind not in _POOLS or not rest.isdecimal() or int(rest) == 0:
        raise ConversionError(f"there is no executor '{text}'", hint=POSSIBLE)
    with _POOLS[kind](int(rest)) as executor:
        yield executor


def _processes(count: int) -> Executor:
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


_POOLS: dict[str, Callable[[int], Executor]] = {"threads": ThreadPoolExecutor, "processes": _processes}


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise ConversionError("Dask is not installed", hint="pip install 'netglot[dask]'") from None
    try:
        client = Client(f"tcp://{address}", timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # a timeout is an OSError
        raise ConversionError(f"there is no Dask scheduler at {address}: {error}") from None
    with client, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # a model and some images are that
        if not client.nthreads():
            raise ConversionError(f"the Dask cluster at {address} has no workers")
        yield client.get_executor(pure=False)
