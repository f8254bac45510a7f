"""The real MXNet 1.9.1, in an environment and a process of its own; tests skip with the reason where it is absent.

One server answers all calls of a test process. What goes across are a symbol as JSON text and arrays as .npz.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PYTHON = Path(os.environ.get("ORACLES", Path.home() / ".cache" / "oracles")) / "mxnet" / "bin" / "python"

_SERVER = """
import json, sys
import mxnet as mx
import numpy as np

def arrays(path):
    with np.load(path) as file:
        return {name: mx.nd.array(file[name], dtype=file[name].dtype) for name in file.files}

def run(request):
    symbol = mx.sym.load_json(request["symbol"])
    given = arrays(request["arrays"])
    arguments = {name: given[name] for name in symbol.list_arguments() if name in given}
    states = {name: given[name] for name in symbol.list_auxiliary_states() if name in given}
    absent = [name for name in symbol.list_arguments() if name not in given]
    if absent:  # labels: their shapes are MXNet's to infer
        shapes, _, _ = symbol.infer_shape(**{name: array.shape for name, array in arguments.items()})
        sizes = dict(zip(symbol.list_arguments(), shapes))
        arguments.update({name: mx.nd.zeros(sizes[name]) for name in absent})
    if request["params"]:
        kept = request["save"]
        saved = {"aux:" + n: a for n, a in states.items()}
        saved.update({"arg:" + n: a for n, a in arguments.items() if n in kept})
        mx.nd.save(request["params"], saved)
        symbol.save(request["json"])
    bound = symbol.bind(mx.cpu(), arguments, grad_req="null", aux_states=states)
    results = [item.asnumpy() for item in bound.forward(is_train=False)]
    np.savez(request["results"], **{str(i): item for i, item in enumerate(results)})
    return symbol.list_outputs()

print(json.dumps(mx.__version__), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        with mx.util.np_shape(request["np_shape"]):
            answer = {"names": run(request)}
    except Exception as error:
        answer = {"error": str(error)[-2000:]}
    print(json.dumps(answer), flush=True)
"""


class MXNetError(Exception):
    """MXNet itself refused what it was asked."""


class Server:
    """A running MXNet."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.requests = count()
        script = Path(self.folder.name) / "server.py"
        script.write_text(_SERVER)
        self.process = subprocess.Popen(
            [str(PYTHON), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1", "MXNET_SUBGRAPH_BACKEND": "NONE"},
        )  # fmt: skip
        assert self._answer() == "1.9.1"

    def run(
        self, symbol: str, arrays: Mapping[str, np.ndarray], *, np_shape: bool = False, save: tuple[str, ...] = (),
        to: Path | None = None,
    ) -> list[tuple[str, np.ndarray]]:  # fmt: skip
        """The outputs' names and values. `arrays`: inputs, parameters and auxiliary states by name.

        `to`: also lets MXNet write the model as to-symbol.json and to-0000.params, with the parameters in `save`.
        """
        folder = Path(self.folder.name)
        number = next(self.requests)
        given, results = folder / f"{number}-in.npz", folder / f"{number}-out.npz"
        np.savez(given, **dict(arrays))
        request = {
            "symbol": symbol, "arrays": str(given), "results": str(results), "np_shape": np_shape, "save": list(save),
            "params": f"{to}-0000.params" if to else "", "json": f"{to}-symbol.json" if to else "",
        }  # fmt: skip
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self._answer()
        if "error" in answer:
            raise MXNetError(answer["error"])
        with np.load(results) as file:
            arrays = [file[str(i)] for i in range(len(answer["names"]))]
        given.unlink()
        results.unlink()
        return list(zip(answer["names"], arrays, strict=True))

    def _answer(self) -> Any:
        """The next line that is an answer (MXNet may print others)."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except ValueError:
                continue
        raise MXNetError(f"MXNet ended with {self.process.wait()}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


_servers: list[Server] = []


def run(
    symbol: str, arrays: Mapping[str, np.ndarray], *, np_shape: bool = False, save: tuple[str, ...] = (),
    to: Path | None = None,
) -> list[tuple[str, np.ndarray]]:  # fmt: skip
    """As Server.run, on this process' server, which is started when it is first needed, or again if it has died."""
    if not PYTHON.exists():
        pytest.skip("the real MXNet is not here (shared/oracles/mxnet-setup)")
    while _servers and _servers[-1].process.poll() is not None:
        _servers.pop().stop()
    if not _servers:
        _servers.append(Server())
    return _servers[-1].run(symbol, arrays, np_shape=np_shape, save=save, to=to)


@atexit.register
def _stop() -> None:
    for server in _servers:
        server.stop()
