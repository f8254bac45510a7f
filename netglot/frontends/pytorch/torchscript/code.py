"""The code of a TorchScript archive: a subset of Python, which is parsed and never run by Python.

A file holds classes with methods, and functions. `__torch__.a.b.C` is the class `C` in `code/__torch__/a/b.py`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property

from netglot.errors import ConversionError, Origin
from netglot.frontends.pytorch.archive import Archive

LARGEST = 1 << 24  # characters of one file of code
_TUPLES = {"NamedTuple"}


@dataclass(frozen=True, eq=False)
class Function:
    """A function or method, with the file it stands in."""

    name: str
    node: ast.FunctionDef
    file: str

    @cached_property
    def parameters(self) -> list[tuple[str, ast.expr | None, ast.expr | None]]:
        """Name, annotation and default of each parameter."""
        arguments = self.node.args
        rare = arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs
        if rare:
            raise ConversionError("a function with arguments of a kind that TorchScript does not have", self.origin)
        defaults: list[ast.expr | None] = [*arguments.defaults]
        missing: list[ast.expr | None] = [None] * (len(arguments.args) - len(defaults))
        return [(a.arg, a.annotation, default) for a, default in zip(arguments.args, missing + defaults, strict=True)]

    @property
    def origin(self) -> Origin:
        return Origin(self.file, line=self.node.lineno)


@dataclass(frozen=True, eq=False)
class Class:
    """A class: its methods, the values of its constants, the names of its fields in order."""

    name: str
    methods: dict[str, Function]
    constants: dict[str, ast.expr]
    fields: list[str]
    is_tuple: bool


Definition = Function | Class


@dataclass(eq=False)
class Code:
    """The definitions of an archive, each file parsed when something in it is asked for."""

    archive: Archive
    _files: dict[str, dict[str, Definition]] = field(default_factory=dict)

    def find(self, name: str) -> Definition | None:
        """The class or function that is called `name` (`__torch__.Net`); None if there is none."""
        place, _, last = name.rpartition(".")
        entry = f"code/{place.replace('.', '/')}.py"
        if not place or entry not in self.archive:
            return None
        if entry not in self._files:
            self._files[entry] = self._parsed(entry, place)
        return self._files[entry].get(last)

    def class_of(self, name: str) -> Class:
        found = self.find(name)
        if not isinstance(found, Class):
            raise ConversionError(f"the archive has no code of the class '{name:.200}'", self.archive.origin)
        return found

    def _parsed(self, entry: str, place: str) -> dict[str, Definition]:
        text = self.archive.bytes(entry, LARGEST)
        file = f"{self.archive.path}:{entry}"
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            what = f"the code in '{entry}' is no TorchScript: {error or type(error).__name__}"
            raise ConversionError(what, self.archive.origin) from None
        return {node.name: _definition(node, place, file) for node in tree.body
                if isinstance(node, (ast.ClassDef, ast.FunctionDef))}  # fmt: skip


def _definition(node: ast.ClassDef | ast.FunctionDef, place: str, file: str) -> Definition:
    if isinstance(node, ast.FunctionDef):
        return Function(node.name, node, file)
    methods = {item.name: Function(item.name, item, file) for item in node.body if isinstance(item, ast.FunctionDef)}
    annotated = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    constants = {item.target.id: item.value for item in annotated
                 if isinstance(item.target, ast.Name) and item.value is not None}  # fmt: skip
    fields = [item.target.id for item in annotated if isinstance(item.target, ast.Name)]
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return Class(f"{place}.{node.name}", methods, constants, fields, bool(bases & _TUPLES))
