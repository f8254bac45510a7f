"""What a name of a TorchScript program can stand for, besides Python's numbers, texts, None and tuples.

A tensor is a `Tensor`; a Value of the graph is a number that the network computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netglot.errors import ConversionError
from netglot.frontends.pytorch.torchscript.tensors import Tensor

Builtin = Callable[..., Any]  # of the interpreter, and of the arguments

LONGEST = 1_000_000  # elements of a list, characters of a text


class List(list[Any]):
    """A list, which all its names share. `depth`: how many branches and bodies deep it was made."""

    def __init__(self, items: Iterable[Any] = (), depth: int = 0) -> None:
        super().__init__(items)
        self.depth = depth


class Dict(dict[Any, Any]):
    """As List."""

    def __init__(self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), depth: int = 0) -> None:
        super().__init__(items)
        self.depth = depth


class NamedTuple(tuple[Any, ...]):
    """A tuple whose places have names."""

    fields: tuple[str, ...]

    @staticmethod
    def of(items: Iterable[Any], fields: Iterable[str]) -> NamedTuple:
        made = NamedTuple(items)
        made.fields = tuple(fields)
        return made


@dataclass(frozen=True)
class Dotted:
    """The name of a function, class or namespace: `torch.conv2d`, `__torch__.Net`."""

    name: str


@dataclass(frozen=True)
class Device:
    name: str


class Uninitialised:
    """A name that a branch leaves without a value; the code never reads it there."""


class Unknown:
    """What an operator would have given that is not supported; all of them are reported together."""


class RaisedError(Exception):
    """The program itself raises an exception here."""


UNINITIALISED, UNKNOWN = Uninitialised(), Unknown()


def leaves(tree: Any) -> list[Any]:
    """All that is no list, tuple or dict in a value; ConversionError for one that holds itself again and again."""
    found: list[Any] = []
    waiting, seen = [tree], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > LONGEST:
            raise ConversionError(f"a value of more than {LONGEST} parts")
        if isinstance(item, (list, tuple, dict)):
            waiting += list(item.values() if isinstance(item, dict) else item)[::-1]
        else:
            found.append(item)
    return found


def tensors(tree: Any) -> list[Tensor]:
    """All tensors in a value."""
    return [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor)]


def has_unknown(tree: Any) -> bool:
    return any(isinstance(leaf, Unknown) for leaf in leaves(tree))
