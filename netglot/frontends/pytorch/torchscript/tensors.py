"""Tensors as a program sees them: two may share memory, and what changes one changes the other.

A graph has no memory, only values. So a tensor here is a cell: one of its own (`Storage`), or a view, which knows how
it is made of another tensor and how it is written back. A view of a tensor that has changed is made again when it is
read. Where torch itself decides at run time whether memory is shared (reshape, contiguous), what is read after a
change is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from netglot.frontends.pytorch.builder import TorchBuilder

Remake = Callable[[TorchBuilder, Any], Any]  # the view of the tensor it is made of
WriteBack = Callable[[TorchBuilder, Any, Any], Any]  # the tensor and the view's new content to the tensor's new one


@dataclass(eq=False)
class Memory:
    """What tensors share. `doubt`: why its content is no longer known."""

    value: Any
    version: int = 0
    doubt: str = ""
    place: str = ""  # of a weight: where it lies
    serial: int = field(default_factory=itertools.count().__next__)


@dataclass(eq=False)
class Tensor:
    """A tensor of its own memory, or a view of `base`. `remake` is None where only torch knows whether it is one."""

    memory: Memory | None = None
    base: Tensor | None = None
    remake: Remake | None = None
    write: WriteBack | None = None
    seen: Any = None
    version: int = 0
    how: str = ""

    @property
    def root(self) -> Memory:
        tensor = self
        while tensor.memory is None:
            assert tensor.base is not None
            tensor = tensor.base
        return tensor.memory


@dataclass(eq=False)
class Scope:
    """The changes made in a branch or body, so that they can be taken back and handed out as results."""

    before: dict[Memory, tuple[Any, int, str]] = field(default_factory=dict)
    start: Memory = field(default_factory=lambda: Memory(None))  # what is older was there before
    looked: dict[Tensor, tuple[Memory | None, Any, int]] = field(default_factory=dict)

    def leave(self) -> dict[Memory, Any]:
        """Puts back all that was; returns what the memory held at the end, for what had changed."""
        after = {memory: memory.value for memory in self.before}
        doubts = {memory: memory.doubt for memory in self.before}
        for memory, (value, version, doubt) in self.before.items():
            memory.value, memory.version, memory.doubt = value, version, doubt or doubts[memory]
        for tensor, (own, seen, version) in self.looked.items():
            tensor.memory, tensor.seen, tensor.version = own, seen, version
        return after


class Tensors:
    """Reading and changing cells. `scopes`: the branches and bodies that are being run, innermost last."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    def read(self, g: TorchBuilder, tensor: Tensor) -> Any:
        """The present content; UnsupportedError where it is not known."""
        root = tensor.root
        if root.doubt:
            raise g.unsupported(f"a tensor is read after {root.doubt}", _HINT)
        if tensor.memory is not None:
            return tensor.memory.value
        assert tensor.base is not None
        if tensor.version != root.version:
            if tensor.remake is None:
                what = f"the result of {tensor.how} is read after its operand was changed in place"
                raise g.unsupported(what, _HINT)
            self._note(tensor)
            tensor.seen = tensor.remake(g, self.read(g, tensor.base))
            tensor.version = root.version
        return tensor.seen

    def change(self, g: TorchBuilder, tensor: Tensor, content: Any) -> None:
        """Makes `content` (of the same type and shape) that of the tensor and of all that share its memory."""
        if tensor.memory is not None:
            self._set(tensor.memory, content)
            return
        assert tensor.base is not None
        if tensor.remake is None:
            self._part(tensor, content)
        elif tensor.write is None:
            raise g.unsupported(f"a tensor is changed in place through {tensor.how}", _HINT)
        else:
            base = self.read(g, tensor.base)
            self.change(g, tensor.base, tensor.write(g, base, content))
            self._note(tensor)
            tensor.seen, tensor.version = content, tensor.root.version

    def _part(self, tensor: Tensor, content: Any) -> None:
        """A tensor that may or may not be a view gets memory of its own; the old one's content is in doubt."""
        root = tensor.root
        self._set(root, root.value)
        root.doubt = f"a change through {tensor.how}, which may be a copy of it or not"
        self._note(tensor)
        tensor.memory = Memory(content)

    def _set(self, memory: Memory, value: Any) -> None:
        for scope in self.scopes:
            if memory.serial < scope.start.serial:
                scope.before.setdefault(memory, (memory.value, memory.version, memory.doubt))
        memory.value = value
        memory.version += 1

    def _note(self, tensor: Tensor) -> None:
        for scope in self.scopes:
            scope.looked.setdefault(tensor, (tensor.memory, tensor.seen, tensor.version))


_HINT = "Export the module with torch.export, which rewrites such programs."
