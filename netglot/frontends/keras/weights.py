"""The variables of a Keras model, layer by layer, in the two layouts there are.

Keras 3 (and tf.keras' .keras): a group per object, named by its attribute; the layers of a model are numbered by class
(keras/src/saving/saving_lib.py). Legacy .h5: a flat list for each layer of the outermost model, trainable variables
first (keras/src/legacy/saving/legacy_h5_format.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.hdf5 import Hdf5
from netglot.frontends.keras import keras1
from netglot.frontends.keras.builder import Weights
from netglot.frontends.keras.config import Layer, Model
from netglot.frontends.keras.files import Source

# What layers create with trainable=False: names of variables, as all versions have called them.
_FIXED = ("moving_mean", "moving_variance", "running_mean", "running_std", "running_var", "running_variance",
          "vector_u", "sn_u", "renorm_mean", "renorm_stddev")  # fmt: skip
_FIXED_ALONE = {"mean", "variance", "count"}
_UNTOLD = {"seed_generator", "random_seed_generator", "_random_generator"}  # states of random numbers


class ModelWeights(Weights, Protocol):
    """Weights that can also be those of a whole model. `again`: from the first one on, for another call."""

    def again(self) -> ModelWeights: ...
    def layers(self, model: Model) -> list[ModelWeights]: ...


class Store:
    """The arrays of a file, each read once: shared layers ask again, and get the same object.

    `used` are the paths of those that were asked for.
    """

    def __init__(self, source: Source, file: Hdf5) -> None:
        self.file = file
        self.is_old, self.is_flipped = source.version.split(".")[0] == "1", source.backend == "theano"
        self.used: set[str] = set()
        self._arrays: dict[str, np.ndarray] = {}

    def array(self, path: str) -> np.ndarray | None:
        self.used.add(path)
        if path not in self._arrays:
            dataset = self.file.find(path)
            if dataset is None or hasattr(dataset, "keys"):
                return None
            self._arrays[path] = self.file.array(dataset)
        return self._arrays[path]

    def converted(self, layer: Layer, variables: Sequence[Variable]) -> Sequence[Variable]:
        """The variables of a layer in the form that they have now (see keras1)."""
        if not (self.is_old or self.is_flipped) or layer.model is not None or not variables:
            return variables
        arrays = [self.array(variable.path) for variable in variables]
        if any(array is None for array in arrays):
            return variables
        given = [array for array in arrays if array is not None]
        found = keras1.converted(
            layer.class_name, layer.config, given, is_old=self.is_old, is_flipped=self.is_flipped
        )  # fmt: skip
        if len(found) != len(given):  # gates in one: their names do not matter
            variables = variables[: len(found)]
        renewed = [Variable(variable.name, f"converted:{variable.path}") for variable in variables]
        self._arrays.update((new.path, array) for new, array in zip(renewed, found, strict=True))
        return renewed

    def unused(self, path: str) -> int:
        """How many datasets under a group nobody asked for, states of random numbers aside."""
        return sum(dataset not in self.used for dataset in self.file.datasets(path, _UNTOLD))


def open_weights(source: Source, model: Model) -> ModelWeights:
    """Where the variables of the outermost model begin."""
    if source.weights is None:
        return NoWeights()
    store = Store(source, source.weights)
    if not source.legacy:
        return GroupWeights(store, "", {}).find_all(model)
    return LegacyWeights(store, source.group)


class NoWeights:
    """A description without a weights file: enough for layers that have no variables."""

    def next(self, trainable: bool) -> np.ndarray | None:
        return None

    def part(self, name: str) -> NoWeights:
        return self

    def left(self) -> int:
        return 0

    def again(self) -> NoWeights:
        return self

    def layers(self, model: Model) -> list[ModelWeights]:
        return [self] * len(model.layers)


# -------------------------------------------------------------------- Keras 3


class GroupWeights:
    """The variables under one group: its own in vars/0, vars/1..., those of its parts in groups by attribute name.

    `known` remembers where a layer that several models share was saved: only the first of them has its variables.
    """

    def __init__(self, store: Store, path: str, known: dict[tuple[str, str], str]) -> None:
        self.store, self.path, self.known = store, path, known
        self._next = 0
        self._parts: dict[str, GroupWeights] = {}

    def next(self, trainable: bool) -> np.ndarray | None:
        array = self.store.array(f"{self.path}/vars/{self._next}")
        self._next += array is not None
        return array

    def part(self, name: str) -> GroupWeights:
        if name not in self._parts:
            self._parts[name] = GroupWeights(self.store, f"{self.path}/{name}", self.known)
        return self._parts[name]

    def left(self) -> int:
        return self.store.unused(self.path)

    def again(self) -> GroupWeights:
        return GroupWeights(self.store, self.path, self.known)

    def layers(self, model: Model) -> list[ModelWeights]:
        return [self._layer(layer, path) for layer, path in self._paths(model)]

    def _layer(self, layer: Layer, path: str) -> ModelWeights:
        path = path or self.known.get((layer.class_name, layer.name), "")
        return GroupWeights(self.store, path, self.known) if path else NoWeights()

    def _paths(self, model: Model) -> list[tuple[Layer, str]]:
        """Each layer with its group, "" where it has none."""
        for name in ("layers", "_layer_checkpoint_dependencies"):
            there = set(self.store.file.names(f"{self.path}/{name}"))
            if there:
                groups = _groups(there, model)
                self._require_all(f"{self.path}/{name}", there.difference(groups), model)
                return [
                    (layer, group and f"{self.path}/{name}/{group}")
                    for layer, group in zip(model.layers, groups, strict=True)
                ]
        return [(layer, "") for layer in model.layers]

    def _require_all(self, path: str, others: set[str], model: Model) -> None:
        wrong = [name for name in sorted(others) if self.store.unused(f"{path}/{name}")]
        if wrong:
            what = f"the weights file has variables of a layer '{wrong[0]}', which the model '{model.name}' has not"
            raise ConversionError(what, Origin(str(self.store.file.path)))

    def find_all(self, model: Model) -> GroupWeights:
        """Notes where every layer of the model, and of those in it, has its group."""
        for layer, path in self._paths(model):
            if path:
                self.known.setdefault((layer.class_name, layer.name), path)
            if path and layer.model is not None:
                GroupWeights(self.store, path, self.known).find_all(layer.model)
        return self


_EXPORTED = {"GroupQueryAttention": "GroupedQueryAttention"}  # classes whose own name is not that in descriptions


def _groups(there: set[str], model: Model) -> list[str]:
    """The group of each layer ("" where it has none): its class in snake case, with a counter from the second on."""
    counts: Counter[str] = Counter()
    groups = []
    for layer in model.layers:
        if layer.is_operation or (model.is_sequential and layer.class_name == "InputLayer"):
            groups.append("")
            continue
        base = snake_case(_EXPORTED.get(layer.class_name, layer.class_name))
        name = f"{base}_{counts[base]}" if counts[base] else base
        counts[base] += 1
        groups.append(name if name in there else "")
    return groups


def snake_case(name: str) -> str:
    """A class name as saving_lib.py turns it into the name of a group."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name.split(">")[-1]))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


# --------------------------------------------------------------------- legacy


@dataclass(frozen=True)
class Variable:
    """One variable of a flat list. `name` is its path: scopes, then its own name, as "dense_1/kernel:0"."""

    name: str
    path: str

    @property
    def scopes(self) -> list[str]:
        return self.name.split("/")[:-1]

    @property
    def is_fixed(self) -> bool:
        own = re.sub(r"(_\d+)?(:\d+)?$", "", self.name.split("/")[-1])
        return own.endswith(_FIXED) or own in _FIXED_ALONE


class FlatWeights:
    """The variables of one layer, or of all layers of a nested model, in one list.

    Trainable variables come before others only where the layer was trainable, so the two kinds are told by name.
    """

    def __init__(self, store: Store, variables: Sequence[Variable]) -> None:
        self.store, self.variables = store, variables
        kinds = [variable.is_fixed for variable in variables]
        self._queues = {
            trainable: [i for i, fixed in enumerate(kinds) if fixed is not trainable] for trainable in (True, False)
        }

    def next(self, trainable: bool) -> np.ndarray | None:
        queue = self._queues[trainable] or self._queues[not trainable]
        return self.store.array(self.variables[queue.pop(0)].path) if queue else None

    def part(self, name: str) -> FlatWeights:
        return self

    def left(self) -> int:
        return sum(variable.path not in self.store.used for variable in self.variables)

    def again(self) -> FlatWeights:
        return FlatWeights(self.store, self.variables)

    def layers(self, model: Model) -> list[ModelWeights]:
        owners = {name: layer.name for layer in reversed(model.layers) for name in _names(layer)}
        owners.update({layer.name: layer.name for layer in model.layers})
        parts: dict[str, list[Variable]] = {layer.name: [] for layer in model.layers}
        for variable in self.variables:
            owner = next((owners[scope] for scope in variable.scopes if scope in owners), None)
            owner = owner or self._keras1_owner(variable, owners)
            if owner is None:
                what = f"the variable '{variable.name}' of the model '{model.name}' has no layer's name in it"
                raise ConversionError(what, Origin(str(self.store.file.path)))
            parts[owner].append(variable)
        return [_flat(self.store, layer, parts[layer.name]) for layer in model.layers]

    @staticmethod
    def _keras1_owner(variable: Variable, owners: Mapping[str, str]) -> str | None:
        """Keras 1 called a variable layer_W: the longest name of a layer that it begins with."""
        names = [name for name in owners if variable.name.startswith(f"{name}_")]
        return owners[max(names, key=len)] if names else None


def _flat(store: Store, layer: Layer, variables: Sequence[Variable]) -> FlatWeights:
    return FlatWeights(store, store.converted(layer, variables))


def _names(layer: Layer) -> Iterator[str]:
    """The names of a layer and of all in it."""
    yield layer.name
    for inner in layer.model.layers if layer.model is not None else ():
        yield from _names(inner)


class LegacyWeights:
    """The outermost model of an .h5 file: a group with a list of variables for each layer."""

    def __init__(self, store: Store, group: str) -> None:
        self.store, self.group = store, group

    def next(self, trainable: bool) -> np.ndarray | None:
        return None

    def part(self, name: str) -> LegacyWeights:
        return self

    def left(self) -> int:
        return 0

    def again(self) -> LegacyWeights:
        return self

    def layers(self, model: Model) -> list[ModelWeights]:
        there = self.store.file.strings(self.group, "layer_names") or []
        lists = {name: self._variables(name) for name in there}
        parts = {layer.name: self._lists_of(layer, lists) for layer in model.layers}
        claimed = {name for names in parts.values() for name in names}
        unknown = sorted(name for name, items in lists.items() if items and name not in claimed)
        if unknown:
            what = f"the weights file has a layer '{unknown[0]}', which the model has not"
            raise ConversionError(what, Origin(str(self.store.file.path)))
        return [
            _flat(self.store, layer, [variable for name in parts[layer.name] for variable in lists[name]])
            for layer in model.layers
        ]

    @staticmethod
    def _lists_of(layer: Layer, lists: Mapping[str, Sequence[Variable]]) -> list[str]:
        """The lists that hold a layer's variables: its own, or those of the layers in it (a Sequential of Keras 1)."""
        return [layer.name] if layer.name in lists else [name for name in _names(layer) if name in lists]

    def _variables(self, layer: str) -> list[Variable]:
        group = f"{self.group}/{layer}"
        return [Variable(name, f"{group}/{name}") for name in self.store.file.strings(group, "weight_names") or []]
