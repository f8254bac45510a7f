"""Every format netglot knows: how it is told from the files, and which module reads, writes and runs it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netglot.errors import ConversionError, Origin


@dataclass(frozen=True)
class Format:
    """One format. `reader`, `writer`: modules with load() and save(); `runtime`: module:class, imported when used."""

    name: str
    title: str
    suffixes: tuple[str, ...] = ()
    reader: str = ""
    writer: str = ""
    runtime: str = ""
    quantize: frozenset[str] = frozenset()  # modes of netglot.quantize.scheme
    compress: frozenset[str] = frozenset()  # of netglot.quantize.compress
    takes_weights: bool = False  # in a second file
    options: frozenset[str] = frozenset()  # of the writer, besides quantize

    def require_writer(self) -> None:
        """Raises ConversionError, before any work is done, where nothing can write this format."""
        self._module(self.writer, "written")

    def load(self, path: Path, weights: Path | None, options: Any) -> Any:
        return self._module(self.reader, "read").load(path, weights, options)

    def save(self, graph: Any, path: Path, **options: Any) -> int:
        return int(self._module(self.writer, "written").save(graph, path, **options))

    def open(self, path: Any, **options: Any) -> Any:
        """The runtime of a file (or, for PyTorch, of a program in memory)."""
        module, name = self.runtime.split(":")
        return getattr(importlib.import_module(module), name)(path, **options)

    def _module(self, name: str, verb: str) -> Any:
        if not name:
            raise ConversionError(f"{self.title} can't be {verb} yet")
        return importlib.import_module(name)


ALL = frozenset({"fp16", "int8", "int8-dynamic", "int16x8", "int4", "uint8"})
WEIGHTS = frozenset({"lossless", "prune", "palettize"})

FORMATS = {
    item.name: item
    for item in (
        Format("caffe", "Caffe", (".prototxt", ".caffemodel", ".caffemodel.h5"), reader="netglot.frontends.caffe",
               takes_weights=True),
        Format("onnx", "ONNX", (".onnx",), "netglot.frontends.onnx", "netglot.backends.onnx",
               "netglot.runtimes.onnxruntime:OnnxRuntime", quantize=ALL, compress=WEIGHTS),
        Format("coreml", "Core ML", (".mlpackage", ".mlmodel"), "netglot.frontends.coreml", "netglot.backends.coreml",
               "netglot.runtimes.coreml:CoreMLRuntime", quantize=ALL - {"int16x8"}, compress=WEIGHTS),
        Format("tflite", "TensorFlow Lite", (".tflite",), writer="netglot.backends.tflite",
               runtime="netglot.runtimes.litert:LiteRT", quantize=ALL, compress=frozenset({"prune"})),
        Format("cpp", "C++ source", ("_cpp",), writer="netglot.backends.cpp",
               runtime="netglot.runtimes.compiled:CompiledCpp", quantize=ALL - {"int16x8"}, compress=WEIGHTS,
               options=frozenset({"threads", "exact", "protect", "salt", "encrypt"})),
        Format("keras", "Keras", (".keras", ".h5", ".hdf5", ".json"), reader="netglot.frontends.keras",
               takes_weights=True),
        Format("tensorflow", "TensorFlow", (".pb", ".pbtxt", ".meta"), reader="netglot.frontends.tensorflow",
               takes_weights=True),
        Format("pytorch", "PyTorch", (".pt2", ".pt", ".pth"), reader="netglot.frontends.pytorch",
               runtime="netglot.runtimes.pytorch:PyTorch"),
        Format("mxnet", "MXNet", ("-symbol.json", ".params"), reader="netglot.frontends.mxnet", takes_weights=True),
    )
}  # fmt: skip


def get(name: str) -> Format:
    if name not in FORMATS:
        raise ConversionError(f"there is no format '{name}'; the formats are {', '.join(FORMATS)}")
    return FORMATS[name]


def detect(path: Path) -> Format:
    """The format of an existing file or of a file to be written, by its name (a folder: by what is in it)."""
    if (path / "CMakeLists.txt").exists():
        return FORMATS["cpp"]
    if any((path / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return FORMATS["tensorflow"]
    name = path.name.lower()
    found = [(len(suffix), item) for item in FORMATS.values() for suffix in item.suffixes if name.endswith(suffix)]
    if found:  # -symbol.json is MXNet's, .caffemodel.h5 Caffe's
        return max(found, key=lambda pair: pair[0])[1]
    known = ", ".join(suffix for item in FORMATS.values() for suffix in item.suffixes)
    raise ConversionError(
        "the format can't be told from the name", Origin(str(path)), f"Say it with --from or --to. Known: {known}"
    )


def files(model: Path, weights: Path | None) -> tuple[Path, Path | None]:
    """The description and the weights of a model, whichever was named first; Caffe's and MXNet's twins are looked for.

    A lone .prototxt goes with the .caffemodel of the same stem beside it, or with the only one there; a lone
    .caffemodel with the .prototxt of the same stem, or with deploy.prototxt. A lone NAME-symbol.json or NAME.json
    goes with NAME-0012.params, the last epoch there is, or with NAME.params; a lone .params with its NAME-symbol.json.
    A file of an .mlpackage is the package.
    """
    package = next((path for path in (model, *model.parents) if path.suffix == ".mlpackage"), None)
    if model.suffix == ".params":
        return weights or _symbol_of(model), model
    if _is_weights(model):
        return weights or _prototxt_of(model), model
    if weights is None and model.suffix in _TWINS:
        weights = _TWINS[model.suffix](model)
    return package or model, weights


def _is_weights(path: Path) -> bool:
    return path.name.endswith((".caffemodel", ".caffemodel.h5"))


def _prototxt_of(weights: Path) -> Path:
    own = weights.with_name(weights.name.removesuffix(".h5").removesuffix(".caffemodel") + ".prototxt")
    shared = weights.with_name("deploy.prototxt")
    return shared if shared.exists() and not own.exists() else own


def _weights_of(prototxt: Path) -> Path | None:
    there = sorted(path for path in prototxt.parent.glob("*.caffemodel*") if _is_weights(path))
    own = [path for path in there if path.name.startswith(prototxt.stem + ".caffemodel")]
    return own[0] if own else there[0] if len(there) == 1 else None


def _symbol_of(params: Path) -> Path:
    return params.with_name(_EPOCH.sub("", params.stem) + "-symbol.json")


def _params_of(symbol: Path) -> Path | None:
    name = symbol.stem.removesuffix("-symbol")
    there = [path for path in symbol.parent.glob("*.params") if _EPOCH.sub("", path.stem) == name]
    return max(there, key=lambda path: (path.stem != name, len(path.name), path.name), default=None)


_EPOCH = re.compile(r"-\d{4,}$")
_TWINS: dict[str, Callable[[Path], Path | None]] = {".prototxt": _weights_of, ".json": _params_of}
