"""What can be asked of quantisation and compression, and of which target."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

from netglot.errors import ConversionError
from netglot.quantize.compress import Spec, parse
from netglot.quantize.data import of_images
from netglot.quantize.executors import POSSIBLE
from netglot.quantize.interface import KINDS
from netglot.quantize.observe import METHODS
from netglot.quantize.scheme import scheme


@dataclass(frozen=True)
class Request:
    """What is to become of the weights and the arithmetic.

    quantize: a mode of scheme.MODES. compress: how weights are stored, as `prune:0.6+palettize:4`. calibrate: a folder
    of images, an .npz or .npy file, or an iterable of dicts. preprocess: how images become inputs (see data.py).
    method: of observe.METHODS: how ranges are chosen. io: float, int8 or uint8 for inputs and
    outputs. max_drop: how much worse than the float model it may become (see measure.py), on `evaluate`, by default the
    calibration data. executor: of concurrent.futures, or "dask://HOST:PORT", "processes:N", "threads:N".
    """

    quantize: str | None = None
    compress: str | None = None
    calibrate: Any = None
    preprocess: str = ""
    method: str = "mse"
    io: str = "float"
    max_drop: float | None = None
    evaluate: Any = None
    executor: Executor | str | None = None

    def check(self, target: str, compress: Collection[str]) -> None:
        """ConversionError, before any work is done, for what can't be asked of `target`, which has `compress`."""
        for problem in (*self._misspelt(), *self._without_data(target), *self._not_there(target, compress)):
            raise problem

    def _misspelt(self) -> Iterator[ConversionError]:
        if self.method not in METHODS:
            yield ConversionError(f"there is no method '{self.method}'", hint=f"Possible: {', '.join(METHODS)}")
        if self.io not in KINDS:
            yield ConversionError(f"inputs and outputs can't be '{self.io}'", hint=f"Possible: {', '.join(KINDS)}")
        is_share = isinstance(self.max_drop, SupportsFloat) and 0 <= float(self.max_drop) <= 1
        if self.max_drop is not None and not is_share:
            yield ConversionError(f"--max-drop is a share from 0 to 1, not {self.max_drop}")
        if self.executor is not None and not (isinstance(self.executor, str) or hasattr(self.executor, "submit")):
            yield ConversionError(f"a {type(self.executor).__name__} is no executor", hint=POSSIBLE)

    def _without_data(self, target: str) -> Iterator[ConversionError]:
        if self.sees_ranges(target) and self.calibrate is None:
            yield ConversionError(
                f"--quantize {self.quantize} must see data that the network is used on, to know its ranges",
                hint="Give it: --calibrate FOLDER of images, or an .npz file of inputs.",
            )
        if self.max_drop is not None and self.calibrate is None and self.evaluate is None:
            yield ConversionError("--max-drop needs data: --calibrate or --evaluate")
        if self.preprocess and not any(_may_be_images(data) for data in (self.calibrate, self.evaluate)):
            yield ConversionError(
                f"--preprocess {self.preprocess} is for images, and there are none; arrays are taken as they are",
                hint="Leave it out, or give --calibrate a folder of images.",
            )
        if self.evaluate is not None and self.quantize == "fp16":
            yield ConversionError("--evaluate says how much --quantize with integers or --compress changes, not fp16")

    def _not_there(self, target: str, compress: Collection[str]) -> Iterator[ConversionError]:
        if self.io != "float" and not self.sees_ranges(target):
            yield ConversionError("--quantize-io needs --quantize int8 or uint8, which compute on integers throughout")
        if self.io != "float" and target == "coreml":
            yield ConversionError("Core ML has no inputs and outputs of 8 bits: leave --quantize-io away")
        if self.max_drop is not None and not self.leaves_a_choice:
            what = "--max-drop needs --quantize with integers, or --compress alone that prunes or palettises"
            yield ConversionError(f"{what}: nothing else leaves a choice")
        if self.compress is None:
            return
        asked = parse(self.compress)
        wanted = [name for name, is_asked in (("prune", asked.prune), ("palettize", asked.bits)) if is_asked]
        missing = [name for name in wanted or ["lossless"] if name not in compress]
        if missing:
            possible = ", ".join(sorted(compress)) or "nothing"
            yield ConversionError(
                f"{target} can't store weights so: {', '.join(missing)}", hint=f"Possible: {possible}"
            )
        if asked.bits is not None and self.quantize is not None:
            yield ConversionError("weights are palettised or quantised, not both: leave one of the two away")

    @property
    def on_integers(self) -> bool:
        return self.quantize not in (None, "fp16")

    @property
    def leaves_a_choice(self) -> bool:
        """Whether some of what is asked for can be left undone: operators in float, or weights as they are."""
        changes_weights = self.compress is not None and parse(self.compress) != Spec()
        return self.on_integers or (self.quantize is None and changes_weights)

    def sees_ranges(self, target: str) -> bool:
        """Whether ranges are chosen from data before anything is written."""
        return self.on_integers and scheme(str(self.quantize), target).needs_data


def _may_be_images(data: Any) -> bool:
    """What is not there is said to be missing by whoever opens it."""
    return of_images(data) or (isinstance(data, (str, Path)) and not Path(data).exists())
