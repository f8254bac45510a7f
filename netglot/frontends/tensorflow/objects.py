"""The objects of a SavedModel and of a checkpoint: which variable is saved under which key.

Both files hold the same tree of objects, whose edges are the names of attributes; walking the two together from their
roots finds a variable's key without a guess (saved_object_graph.proto, trackable_object_graph.proto).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netglot.frontends.tensorflow.proto import Message
from netglot.frontends.tensorflow.tensors import ElementType, element_type, shape
from netglot.ir.types import Shape

VALUE = "VARIABLE_VALUE"


@dataclass(frozen=True, slots=True)
class SavedVariable:
    """A variable of a SavedModel. Names need not be unique."""

    name: str
    dtype: ElementType
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class SavedObject:
    """An object of a SavedModel: its children by name; what it is, if that is a variable or an asset (by number)."""

    children: Mapping[str, int]
    variable: SavedVariable | None = None
    asset: int | None = None


@dataclass(frozen=True, slots=True)
class SavedObjects:
    """The objects of a SavedModel (the first is the root), and what its functions capture (by number)."""

    objects: tuple[SavedObject, ...]
    bound_inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def variables(self) -> Mapping[int, SavedVariable]:
        return {number: item.variable for number, item in enumerate(self.objects) if item.variable}

    def keys(self, tracked: TrackedObjects | None = None) -> dict[int, str]:
        """The key in the checkpoint of each variable, by the object's number.

        `tracked` are the objects of the checkpoint; where it has none, keys are made of the names on the way.
        """
        keys = _paths(self) if tracked is None else tracked.keys_of(self)
        return {number: key for number, key in keys.items() if self.objects[number].variable}

    def variable_keys(self, tracked: TrackedObjects | None = None) -> dict[str, str]:
        """The key in the checkpoint of each variable, by the variable's name; without those of the same name."""
        keys = self.keys(tracked)
        by_name: dict[str, set[str]] = {}
        for number, variable in self.variables().items():
            by_name.setdefault(variable.name, set()).add(keys.get(number, ""))
        return {name: found.pop() for name, found in by_name.items() if len(found) == 1 and "" not in found}


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """An object of a checkpoint: its children by name, and the key and full name of each value that it saved."""

    children: Mapping[str, int]
    keys: Mapping[str, str]
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TrackedObjects:
    """The objects of a checkpoint; the first is the root."""

    objects: tuple[TrackedObject, ...]

    def keys_of(self, saved: SavedObjects) -> dict[int, str]:
        """The checkpoint's key of each object of a SavedModel that is a variable, by the object's number."""
        pairs = {0: 0} if saved.objects and self.objects else {}
        queue = deque(pairs.items())
        while queue:
            here, there = queue.popleft()
            for name, child in saved.objects[here].children.items():
                other = self.objects[there].children.get(name)
                if other is not None and child not in pairs:
                    pairs[child] = other
                    queue.append((child, other))
        return {
            here: self.objects[there].keys[VALUE] for here, there in pairs.items() if VALUE in self.objects[there].keys
        }

    def by_full_name(self) -> dict[str, str]:
        """Keys by the variables' full names; without those that two variables share."""
        found: dict[str, set[str]] = {}
        for item in self.objects:
            for kind, key in item.keys.items():
                if item.names.get(kind):
                    found.setdefault(item.names[kind], set()).add(key)
        return {name: keys.pop() for name, keys in found.items() if len(keys) == 1}


def saved_objects(view: memoryview) -> SavedObjects:
    """The objects of a SavedObjectGraph. ValueError where it is none."""
    message = Message(view)
    objects = tuple(_saved_object(item) for item in message.messages(1))
    _check(item.children for item in objects)
    functions = {name: tuple(Message(value).numbers(2)) for name, value in message.map(2).items()}
    return SavedObjects(objects, functions)


def _saved_object(message: Message) -> SavedObject:
    asset = message.message(5).number(1) if 5 in message else None
    return SavedObject(_children(message), _variable(message.message(7)) if 7 in message else None, asset)


def _variable(message: Message) -> SavedVariable:
    return SavedVariable(message.text(6), element_type(message.number(1)), shape(message.view(2)))


def tracked_objects(view: memoryview) -> TrackedObjects:
    """The objects of a TrackableObjectGraph. ValueError where it is none."""
    objects = tuple(_tracked_object(item) for item in Message(view).messages(1))
    _check(item.children for item in objects)
    return TrackedObjects(objects)


def _tracked_object(message: Message) -> TrackedObject:
    values = list(message.messages(2))
    keys = {value.text(1): value.text(3) for value in values}
    return TrackedObject(_children(message), keys, {value.text(1): value.text(2) for value in values})


def _children(message: Message) -> dict[str, int]:
    return {child.text(2): child.number(1) for child in message.messages(1)}


def _check(all_children: Iterator[Mapping[str, int]]) -> None:
    found = list(all_children)
    if any(not 0 <= child < len(found) for children in found for child in children.values()):
        raise ValueError("an object has a child that is not there")


def _paths(saved: SavedObjects) -> dict[int, str]:
    """The key that TensorFlow makes of the shortest way from the root to each object."""
    paths = {0: ""} if saved.objects else {}
    queue = deque(paths)
    while queue:
        here = queue.popleft()
        for name, child in saved.objects[here].children.items():
            if child not in paths:
                paths[child] = paths[here] + _escaped(name) + "/"
                queue.append(child)
    return {number: f"{path}.ATTRIBUTES/{VALUE}" for number, path in paths.items()}


def _escaped(name: str) -> str:
    return name.replace(".", "..").replace("/", ".S")
