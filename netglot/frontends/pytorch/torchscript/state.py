"""The objects of an archive: modules with their paths and attributes, and weights as views of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from netglot.errors import ConversionError
from netglot.frontends.pytorch.archive import Archive, strided
from netglot.frontends.pytorch.builder import Complex, TorchBuilder
from netglot.frontends.pytorch.pickles import Instance, Opaque, Storage, StoredTensor
from netglot.frontends.pytorch.torchscript.tensors import Memory, Tensor
from netglot.frontends.pytorch.torchscript.values import Dict, List

_EXPANDED = 1 << 28  # elements of a weight that repeats what is stored


@dataclass
class State:
    """`paths`: where each module stands (`layer1.0.conv1`). `attributes`: those that the program has set.

    `made`: objects that the program made itself; `changed`: the attributes of modules that it sets.
    """

    archive: Archive
    module: Instance
    paths: dict[Instance, str] = field(default_factory=dict)
    attributes: dict[tuple[Instance, str], Any] = field(default_factory=dict)
    made: set[Instance] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    _tensors: dict[tuple[str, StoredTensor], Tensor] = field(default_factory=dict)
    _lists: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        waiting = [(self.module, "")]
        while waiting:
            instance, path = waiting.pop()
            if instance in self.paths:
                continue
            self.paths[instance] = path
            inner = [(item, f"{path}.{name}" if path else name) for name, item in instance.attributes.items()]
            waiting += [(item, name) for item, name in reversed(inner) if isinstance(item, Instance)]

    def read(self, item: Any, path: str, folder: str, g: TorchBuilder) -> Any:
        """What a pickle describes, as a value of the program. `folder`: where its tensors lie in the archive."""
        if isinstance(item, StoredTensor):
            return self.tensor(item, path, folder, g)
        if isinstance(item, Opaque):
            raise g.unsupported(f"'{path}' is made by {item.name:.80}", "Quantised and packed tensors are not read.")
        if isinstance(item, (list, tuple, dict)):
            if id(item) not in self._lists:
                self._lists[id(item)] = self._container(item, path, folder, g)
            return self._lists[id(item)]
        return item

    def _container(self, item: Any, path: str, folder: str, g: TorchBuilder) -> Any:
        if isinstance(item, tuple):
            return tuple(self.read(part, f"{path}.{i}", folder, g) for i, part in enumerate(item))
        if isinstance(item, list):
            return List(self.read(part, f"{path}.{i}", folder, g) for i, part in enumerate(item))
        return Dict((key, self.read(part, f"{path}.{key}", folder, g)) for key, part in item.items())

    def tensor(self, stored: StoredTensor, path: str, folder: str, g: TorchBuilder) -> Tensor:
        """A weight; the same one for every name of the same memory."""
        key = folder, stored
        if key not in self._tensors:
            array = self._array(stored, path, folder)
            is_complex = array.dtype.kind == "c"
            value = g.graph.add_constant(array[..., None].view(array.real.dtype) if is_complex else array, path)
            content = Complex(value) if is_complex else value
            self._tensors[key] = Tensor(Memory(content, place=f"{folder}/{stored.storage.key}"))
        return self._tensors[key]

    def _array(self, stored: StoredTensor, path: str, folder: str) -> Any:
        storage: Storage = stored.storage
        origin = self.archive.origin
        if storage.dtype is None:
            raise ConversionError(f"the weight '{path}' has an element type that is not known", origin)
        if prod(stored.shape) > max(storage.size, _EXPANDED):
            raise ConversionError(f"the weight '{path}' claims {prod(stored.shape)} numbers", origin)
        data = self.archive.stored(f"{folder}/{storage.key}") if prod(stored.shape) else memoryview(b"")
        try:
            return strided(data, storage.dtype, stored.shape, stored.strides, stored.offset)
        except (ValueError, OverflowError) as error:
            raise ConversionError(f"the weight '{path}' can't be read: {error}", origin) from None

    def shared(self, memory: Memory) -> bool:
        """Whether several weights that are not the same tensor lie in this memory."""
        return bool(memory.place) and sum(t.root.place == memory.place for t in self._tensors.values()) > 1
