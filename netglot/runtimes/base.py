"""What every runtime offers: names, types and shapes of a model's inputs and outputs, and `run`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Tensor:
    """An input or output as the model declares it; names and None stand for sizes that it leaves open."""

    name: str
    dtype: np.dtype
    shape: tuple[int | str | None, ...]


class Runtime(ABC):
    """A loaded model. `name` says whose code computes it.

    `is_open`: whether it knows which sizes its inputs may have (see sizes).
    """

    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    is_open = False

    def sizes(self, sample: int) -> Mapping[str, int]:
        """Sizes for the names in the shapes of its inputs, others for every sample; those of sample 0 fit together."""
        return {}

    @abstractmethod
    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """The outputs by name, for inputs by name, both as the model stores them."""
