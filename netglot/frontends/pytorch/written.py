"""Changes made through views of a tensor (`y[:, 0] = 1`, `y[2].zero_()`) as new tensors, where torch is not needed.

The changed view is put back into the tensor it is a view of (slice_scatter and its like), and all views that are read
later are taken anew. Only views that are plainly views are followed; what else there is, torch must rewrite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from netglot.frontends.pytorch import aliases
from netglot.frontends.pytorch.arguments import Ref, names
from netglot.frontends.pytorch.program import Body, Call, Meta, Program

# What puts a part back: the same arguments, with the part after the whole.
_PARTS = {
    "aten.slice.Tensor": "aten.slice_scatter.default", "aten.select.int": "aten.select_scatter.default",
    "aten.diagonal.default": "aten.diagonal_scatter.default",
}  # fmt: skip
_SHAPES = {"aten.view.default", "aten.unsqueeze.default", "aten.squeeze.dim", "aten.squeeze.default"}
_SWAPS = {"aten.transpose.int", "aten.t.default"}  # these undo themselves


def written_through(program: Program) -> Program:
    """The program with no change that is seen by another name; itself where this can't be done for all of them."""
    body, outputs = program.body, program.outputs
    for _ in range(len(body.calls)):
        unsafe = aliases.unsafe_mutations(body)
        if not unsafe:
            return replace(program, body=body, outputs=outputs)
        found = _Change(body, min(unsafe)).made()
        if found is None:
            return program
        body, new = found
        outputs = tuple((name, _renamed(value, new)) for name, value in outputs)
    return program


class _Change:
    """One call that works in place, number `index` of `body`."""

    def __init__(self, body: Body, index: int) -> None:
        self.body, self.call, self.index = body, body.calls[index], index
        self.makers = {name: call for call in body.calls[:index] for name in call.outputs}
        self.metas = dict(body.metas)
        self.before: list[Call] = []  # those to be added before the change, and after it
        self.calls: list[Call] = []

    def made(self) -> tuple[Body, dict[str, str]] | None:
        """The body afterwards, and which names now stand for others; None where a name is more than a plain view."""
        target, *_ = names(self.call.arguments[0][1])
        root, chain = self.chain(target)
        seen = self.seen_later(target)
        if root not in self.makers or len(self.call.outputs) != 1 or any(self.chain(name)[0] != root for name in seen):
            return None
        whole: str | None = self.call.outputs[0]
        for view in reversed(chain):
            whole = whole and self.put_back(view, whole)
        if whole is None:
            return None
        new = {root: whole} | {name: self.taken(name, whole) for name in seen if name != root}
        if target in new and chain:
            new[self.call.outputs[0]] = new[target]
        later = [self.renamed(call, new) for call in self.body.calls[self.index + 1 :]]
        earlier = (*self.body.calls[: self.index], *self.before, self.call)
        calls = (*earlier, *self.calls, *later)
        outputs = tuple(_renamed(value, new) for value in self.body.outputs)
        return replace(self.body, calls=calls, outputs=outputs, metas=self.metas), new

    def seen_later(self, target: str) -> set[str]:
        """The names made before that share the memory, and are read later; with the target, as its new name is."""
        last, result = aliases.last_reads(self.body), self.call.outputs[0]
        group = aliases.groups(self.body)[target] - {result}
        inputs = set(names(list(self.body.inputs)))
        known = {name for name in group if name in self.makers or name in inputs}
        seen = {name for name in known if last.get(name, -1) > self.index}
        return seen | ({target} if last.get(result, -1) > self.index else set())

    def chain(self, name: str) -> tuple[str, list[Call]]:
        """What `name` is a view of, and the views from there to it."""
        views: list[Call] = []
        while (call := self.makers.get(name)) is not None and _is_view(call):
            views.insert(0, call)
            name = call.arguments[0][1].name
        return name, views

    def put_back(self, view: Call, part: str) -> str | None:
        """The name of the tensor that `view` was taken of, with `part` in the place of the view."""
        (first, whole), *rest = view.arguments
        if view.target in _PARTS:
            arguments = [(first, Ref(self.kept(view))), ("src", Ref(part)), *rest]
            return self.add(replace(view, target=_PARTS[view.target], arguments=tuple(arguments)), whole.name)
        if view.target in _SWAPS:
            return self.add(replace(view, arguments=((first, Ref(part)), *rest)), whole.name)
        meta = self.metas.get(whole.name)
        if meta is None or not all(isinstance(size, int) for size in meta.shape):
            return None
        arguments = [("self", Ref(part)), ("size", list(meta.shape))]
        return self.add(replace(view, target="aten.view.default", arguments=tuple(arguments)), whole.name)

    def kept(self, view: Call) -> str:
        """A copy of what `view` was taken of, as it is before the change."""
        (first, whole), *_ = view.arguments
        name = f"{whole.name}_before_{self.index}"
        self.before.append(replace(view, target="aten.clone.default", arguments=((first, whole),), outputs=(name,)))
        self.metas |= {name: self.metas[whole.name]} if whole.name in self.metas else {}
        return name

    def taken(self, name: str, whole: str) -> str:
        """The view `name` of the tensor as it is now."""
        for view in self.chain(name)[1]:
            (first, _), *rest = view.arguments
            whole = self.add(replace(view, arguments=((first, Ref(whole)), *rest)), view.outputs[0])
        return whole

    def add(self, call: Call, like: str) -> str:
        name = f"{like}_written_{self.index + len(self.calls)}"
        self.calls.append(replace(call, outputs=(name,)))
        if isinstance(meta := self.metas.get(like), Meta):
            self.metas[name] = meta
        return name

    def renamed(self, call: Call, new: Mapping[str, str]) -> Call:
        return replace(call, arguments=tuple((name, _renamed(value, new)) for name, value in call.arguments))


def _is_view(call: Call) -> bool:
    known = call.target in _PARTS or call.target in _SHAPES or call.target in _SWAPS
    return known and isinstance(call.arguments[0][1], Ref) and len(call.outputs) == 1


def _renamed(value: Any, new: Mapping[str, str]) -> Any:
    if isinstance(value, Ref):
        return Ref(new.get(value.name, value.name))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return type(value)(_renamed(item, new) for item in value)  # type: ignore[call-arg]
    return value
