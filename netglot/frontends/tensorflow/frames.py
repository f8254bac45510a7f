"""TF 1 control flow (Switch, Merge, Enter, Exit, NextIteration) as functional While and If.

A frame is a loop: Enter brings a value in, Merge takes it or that of the step before (NextIteration), Switch hands it
to the body (output 1) or, through Exit, out (output 0), as LoopCond says. Outside of frames, Switch and Merge are a
branch. Both become one node with functions whose arguments are called what the body calls them ("while/Switch:1"), so
the nodes themselves stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.tensorflow.messages import ArgDef, FunctionDef, FunctionName, GraphDef, NodeDef

MAX_NESTED = 32
_ENTER = {"Enter", "RefEnter"}
_EXIT = {"Exit", "RefExit"}
_SWITCH = {"Switch", "RefSwitch"}
_MERGE = {"Merge", "RefMerge"}
_NEXT = {"NextIteration", "RefNextIteration"}
_INPUTS = {
    **dict.fromkeys(_ENTER | _EXIT | _NEXT | _MERGE | {"LoopCond", "Identity"}, 1),
    **dict.fromkeys(_SWITCH, 2),
}


def functional(graph: GraphDef, file: str) -> tuple[Sequence[NodeDef], Mapping[str, FunctionDef]]:
    """The nodes and functions of `graph`, in which every loop is a While and every branch an If."""
    if not any(node.op in _ENTER or node.op in _MERGE for node in graph.nodes):
        return graph.nodes, graph.functions
    for node in graph.nodes:
        if len([item for item in node.inputs if item[:1] != "^"]) < _INPUTS.get(node.op, 0):
            raise ConversionError(f"{node.op} lacks an input", Origin(file, node.name, node.line))
    rewriter = _Rewriter({node.name: node for node in graph.nodes}, dict(graph.functions), file)
    rewriter.loops()
    rewriter.branches()
    return list(rewriter.nodes.values()), rewriter.functions


@dataclass
class _Rewriter:
    nodes: dict[str, NodeDef]
    functions: dict[str, FunctionDef]
    file: str
    done: set[str] = field(default_factory=set)  # frames
    merges: set[str] = field(default_factory=set)  # of loops
    enters: dict[str, list[NodeDef]] = field(default_factory=dict)  # by frame
    readers: dict[str, list[NodeDef]] = field(default_factory=dict)  # by node
    depth: int = 0

    # -------------------------------------------------------------------- loops

    def loops(self) -> None:
        for node in self.nodes.values():
            if node.op in _ENTER:
                self.enters.setdefault(str(node.attributes.get("frame_name")), []).append(node)
            for reference in node.inputs:
                self.readers.setdefault(_node_of(reference), []).append(node)
        for frame in list(self.enters):
            with suppress(UnsupportedError):  # it may be one that no output needs: the reader reports it if it is not
                self.loop(frame)

    def loop(self, frame: str) -> None:
        """Replaces the loop `frame` (after those inside of it) by a While; its Exits become Identities."""
        if frame in self.done:
            return
        self.done.add(frame)
        with self.nested():
            self.replace_loop(frame)

    def replace_loop(self, frame: str) -> None:
        constants = [node for node in self.enters[frame] if node.attributes.get("is_constant")]
        variables = [self.variable(node) for node in self.enters[frame] if not node.attributes.get("is_constant")]
        if not variables:
            raise self.refused(self.enters[frame][0], "a loop without state")
        inputs = tuple(item.enter.inputs[0] for item in variables) + tuple(node.inputs[0] for node in constants)
        captured = [node.name for node in constants]
        name = self.free(variables[0].enter.name.rpartition("/")[0] or frame)
        arguments = [item.merge.name for item in variables] + captured
        test = self.loop_condition(variables)
        cond = self.function(f"{name}/cond", arguments, [test])
        arguments = [f"{item.switch.name}:1" for item in variables] + captured
        body = self.function(f"{name}/body", arguments, [item.next.inputs[0] for item in variables] + captured)
        attributes = {"cond": FunctionName(cond, {}), "body": FunctionName(body, {})}
        self.nodes[name] = NodeDef(name, "While", inputs, attributes, variables[0].enter.line)
        for k, item in enumerate(variables):
            for node in item.exits:
                self.nodes[node.name] = NodeDef(node.name, "Identity", (f"{name}:{k}",), {}, node.line)

    def variable(self, enter: NodeDef) -> _Variable:
        merge = self.one(enter, [node for node in self.readers.get(enter.name, []) if node.op in _MERGE], "Merge")
        back = [self.nodes[_node_of(item)] for item in merge.inputs if _node_of(item) in self.nodes]
        following = self.one(merge, [node for node in back if node.op in _NEXT], "NextIteration")
        switch = self.one(merge, [node for node in self.readers.get(merge.name, []) if node.op in _SWITCH], "Switch")
        exits = [node for node in self.readers.get(switch.name, []) if node.op in _EXIT]
        self.merges.add(merge.name)
        return _Variable(enter, merge, following, switch, exits)

    def loop_condition(self, variables: Sequence[_Variable]) -> str:
        """What LoopCond reads."""
        condition = self.nodes.get(_node_of(variables[0].switch.inputs[1]))
        if condition is None or condition.op != "LoopCond":
            raise self.refused(variables[0].switch, "a loop without LoopCond")
        return condition.inputs[0]

    # ------------------------------------------------------------------ branches

    def in_order(self) -> list[NodeDef]:
        """The nodes, each after those that it reads; files need not hold them so, and branches follow each other."""
        found, seen = list[NodeDef](), set[str]()
        stack = [(name, False) for name in reversed(self.nodes)]
        while stack:
            name, is_read = stack.pop()
            if is_read:
                found.append(self.nodes[name])
            if name in seen or name not in self.nodes:
                continue
            seen.add(name)
            stack.append((name, True))
            stack += [(_node_of(item), False) for item in self.nodes[name].inputs]
        return found

    def branches(self) -> None:
        for node in self.in_order():
            if node.op in _MERGE and node.name not in self.merges:
                with suppress(UnsupportedError):
                    self.branch(node.name)

    def branch(self, name: str) -> None:
        """Replaces the Merge `name` by an If, after those that it depends on."""
        merge = self.nodes[name]
        if merge.op not in _MERGE:
            return
        with self.nested():
            self.replace_branch(merge)

    def replace_branch(self, merge: NodeDef) -> None:
        name = merge.name
        sides = [self.side(reference) for reference in merge.inputs]
        if len(sides) != 2:
            raise self.refused(merge, "a Merge of more than two branches")
        predicates = {predicate for side in sides for predicate in side.predicates}
        which = [side.output for side in sides]
        if len(predicates) != 1 or None in which or which[0] == which[1]:
            raise self.refused(merge, "a Merge that ends no plain branch")
        switches = list(dict.fromkeys(switch for side in sides for switch in side.switches))
        data = tuple(self.nodes[switch].inputs[0] for switch in switches)
        functions = {}
        for reference, output in zip(merge.inputs, which, strict=True):
            arguments = [switch if output == 0 else f"{switch}:1" for switch in switches]
            label = "then_branch" if output == 1 else "else_branch"
            functions[label] = FunctionName(self.function(f"{name}/{label}", arguments, [reference]), {})
        self.nodes[name] = NodeDef(name, "If", (predicates.pop(), *data), functions, merge.line)

    def side(self, reference: str) -> _Side:
        """What one input of a Merge depends on, back to the Switches of its branch."""
        side, seen, stack = _Side(), set[str](), [reference]
        while stack:
            item = stack.pop()
            node = self.nodes.get(_node_of(item))
            if node is None or item in seen:
                continue
            seen.add(item)
            if node.op in _SWITCH:
                side.add(node, item, self.origin_of(node.inputs[1]))
                continue
            if node.op in _MERGE:
                self.branch(node.name)
                node = self.nodes[node.name]
            stack += node.inputs
        return side

    # ------------------------------------------------------------------- helpers

    def function(self, wanted: str, arguments: Sequence[str], results: Sequence[str]) -> str:
        """A function of the nodes that `results` need, which ends at `arguments`."""
        name = self.free_function(wanted)
        inputs = tuple(ArgDef(item) for item in arguments)
        outputs = tuple(ArgDef(f"result_{k}") for k in range(len(results)))
        nodes = tuple(self.closure(results, set(arguments)))
        returns = {output.name: result for output, result in zip(outputs, results, strict=True)}
        self.functions[name] = FunctionDef(name, inputs, outputs, nodes, returns, {})
        return name

    def closure(self, results: Sequence[str], stops: set[str]) -> Iterator[NodeDef]:
        """The nodes that `results` depend on. A loop among them is made a While first."""
        seen, stack = set[str](), [item for item in results if item[:1] != "^"]
        while stack:
            item = stack.pop().removesuffix(":0")
            name = _node_of(item)
            if item in stops or name in seen or name not in self.nodes:
                continue
            seen.add(name)
            if self.nodes[name].op in _EXIT:
                self.loop(self.frame_of(self.nodes[name]))
            if name not in self.merges:
                self.branch(name)
            yield self.nodes[name]
            stack += [reference for reference in self.nodes[name].inputs if reference[:1] != "^"]

    def origin_of(self, reference: str) -> str:
        """What `reference` is a copy of: a branch's Switches name their condition by several Identities of it."""
        for _ in range(len(self.nodes)):
            node = self.nodes.get(_node_of(reference))
            if node is None or node.op != "Identity":
                break
            reference = node.inputs[0]
        return reference.removesuffix(":0")

    def frame_of(self, leave: NodeDef) -> str:
        switch = self.nodes[_node_of(leave.inputs[0])]
        merge = self.nodes[_node_of(switch.inputs[0])]
        enters = [self.nodes[_node_of(item)] for item in merge.inputs if self.nodes[_node_of(item)].op in _ENTER]
        return str(self.one(merge, enters, "Enter").attributes.get("frame_name"))

    def one(self, node: NodeDef, found: list[NodeDef], what: str) -> NodeDef:
        if len(found) != 1:
            raise self.refused(node, f"a loop with {len(found)} {what} in one place")
        return found[0]

    def refused(self, node: NodeDef, what: str) -> UnsupportedError:
        return UnsupportedError(f"{what} is not supported", Origin(self.file, node.name, node.line))

    @contextmanager
    def nested(self) -> Iterator[None]:
        self.depth += 1
        try:
            if self.depth > MAX_NESTED:
                raise ConversionError(f"control flow is nested more than {MAX_NESTED} deep", Origin(self.file))
            yield
        finally:
            self.depth -= 1

    def free(self, wanted: str) -> str:
        return _free(wanted, self.nodes)

    def free_function(self, wanted: str) -> str:
        return _free(wanted, self.functions)


@dataclass(frozen=True)
class _Variable:
    """One state of a loop, with the nodes that make it."""

    enter: NodeDef
    merge: NodeDef
    next: NodeDef
    switch: NodeDef
    exits: Sequence[NodeDef]


@dataclass
class _Side:
    """One branch: the Switches that it starts at, their predicates, and which output it is on."""

    switches: list[str] = field(default_factory=list)
    predicates: set[str] = field(default_factory=set)
    outputs: set[int] = field(default_factory=set)

    def add(self, switch: NodeDef, reference: str, predicate: str) -> None:
        self.predicates.add(predicate)
        if reference[:1] != "^":
            self.switches.append(switch.name)
            self.outputs.add(1 if reference.endswith(":1") else 0)

    @property
    def output(self) -> int | None:
        return next(iter(self.outputs)) if len(self.outputs) == 1 else None


def _node_of(reference: str) -> str:
    return reference.lstrip("^").partition(":")[0]


def _free(wanted: str, taken: Mapping[str, object]) -> str:
    name, suffix = wanted, 0
    while name in taken:
        suffix += 1
        name = f"{wanted}_{suffix}"
    return name
