"""Running a TorchScript method on symbols: every operator that it would compute is added to the graph.

Numbers, lists and texts are computed as they are met, so that a loop of known length is unrolled and a condition on
shapes chooses a branch; what depends on the content of tensors becomes If and Loop (control.py). Statements and
expressions are those that torch writes (torch/csrc/jit/serialization/python_print.cpp); any other is an error. The
file is not trusted: steps, depth and sizes are limited.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.pytorch.builder import COMPLEX, TorchBuilder
from netglot.frontends.pytorch.pickles import Instance
from netglot.frontends.pytorch.torchscript import builtins, control, conversions, operations
from netglot.frontends.pytorch.torchscript.calls import Overloads
from netglot.frontends.pytorch.torchscript.code import Class, Code, Function
from netglot.frontends.pytorch.torchscript.state import State
from netglot.frontends.pytorch.torchscript.tensors import Tensor, Tensors
from netglot.frontends.pytorch.torchscript.values import (
    UNKNOWN,
    Dict,
    Dotted,
    List,
    NamedTuple,
    Uninitialised,
    Unknown,
    has_unknown,
)  # fmt: skip
from netglot.ir.graph import Value

STEPS = 400_000  # statements and calls of a whole program
DEPTH = 60  # calls inside one another
LOOP = 20_000  # steps of one loop that is unrolled

_ROOTS = {"torch", "ops", "__torch__", "math"}


@dataclass
class Frame:
    """A call in progress: what its names stand for, and the path of the module whose method it is."""

    names: dict[str, Any]
    file: str = ""
    path: str = ""
    depth: int = 0


@dataclass
class Returned:
    value: Any


@dataclass
class Interpreter:
    """`g` is the builder of the graph, or of the branch or body, that is being run."""

    g: TorchBuilder
    code: Code
    state: State
    constants: Sequence[Any] = ()
    version: int = 0
    tensors: Tensors = field(default_factory=Tensors)
    overloads: Overloads = field(default_factory=Overloads)
    complex_overloads: Overloads = field(default_factory=lambda: Overloads(COMPLEX))
    problems: list[Problem] = field(default_factory=list)
    steps: int = 0
    root: TorchBuilder = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.g

    @property
    def depth(self) -> int:
        """How many branches and bodies deep it is."""
        return len(self.tensors.scopes)

    def error(self, what: str, hint: str = "") -> ConversionError:
        return ConversionError(what, self.g.origin, hint)

    def step(self) -> None:
        self.steps += 1
        if self.steps > STEPS:
            raise self.error(f"the program takes more than {STEPS} steps", "A loop that never ends, or far too long?")

    # -------------------------------------------------------------------- calls

    def method(
        self, instance: Instance, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], caller: Frame
    ) -> Any:
        function = self.code.class_of(instance.kind).methods.get(name)
        if function is None:
            raise self.error(f"'{instance.kind}' has no method '{name}'")
        path = self.state.paths.get(instance, caller.path)
        return self.function(function, [instance, *args], kwargs, replace(caller, path=path))

    def function(self, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any], caller: Frame) -> Any:
        """Runs a function of the file."""
        if caller.depth >= DEPTH:
            raise self.error(f"calls are nested more than {DEPTH} deep", "TorchScript does not allow recursion.")
        if len(args) > len(function.parameters):
            raise self.error(f"'{function.name}' takes {len(function.parameters)} arguments, not {len(args)}")
        frame = Frame({}, function.file, caller.path, caller.depth + 1)
        given = dict(zip((name for name, _, _ in function.parameters), args, strict=False)) | dict(kwargs)
        for name, _, default in function.parameters:
            if name not in given and default is None:
                raise self.error(f"'{function.name}' is called without '{name}'")
            frame.names[name] = given[name] if name in given or default is None else self.value(default, frame)
        result = self.block(function.node.body, frame)
        return result.value if result is not None else None

    def construct(self, kind: Class, args: Sequence[Any], kwargs: Mapping[str, Any], caller: Frame) -> Any:
        if kind.is_tuple:
            return NamedTuple.of([*args, *kwargs.values()], kind.fields)
        made = Instance(kind.name)
        self.state.made.add(made)
        if "__init__" in kind.methods:
            self.function(kind.methods["__init__"], [made, *args], kwargs, caller)
        return made

    # --------------------------------------------------------------- statements

    def block(self, statements: Sequence[ast.stmt], frame: Frame) -> Returned | None:
        """Runs statements in order; what they return, if they do."""
        for statement in statements:
            self.step()
            self.g.origin = Origin(frame.file, frame.path, statement.lineno)
            run = _STATEMENTS.get(type(statement))
            if run is None:
                raise self.error(f"the statement '{type(statement).__name__}' is no TorchScript")
            returned = run(self, statement, frame)
            if returned is not None:
                return returned
        return None

    def assign(self, statement: ast.Assign, frame: Frame) -> None:
        value = self.value(statement.value, frame)
        for target in statement.targets:
            self.bind(target, value, frame)

    def declare(self, statement: ast.AnnAssign, frame: Frame) -> None:
        if statement.value is not None:
            self.bind(statement.target, self.value(statement.value, frame), frame)

    def bind(self, target: ast.expr, value: Any, frame: Frame) -> None:
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part, item in zip(target.elts, self.parts(value, len(target.elts)), strict=True):
                self.bind(part, item, frame)
        elif isinstance(target, ast.Attribute):
            self.set_attribute(self.value(target.value, frame), target.attr, value)
        else:
            raise self.error(f"an assignment to '{type(target).__name__}' is no TorchScript")

    def parts(self, value: Any, count: int) -> Sequence[Any]:
        if isinstance(value, Unknown):
            return [UNKNOWN] * count
        if not isinstance(value, (list, tuple)) or len(value) != count:
            raise self.error(f"{count} names for what has not {count} parts")
        return value

    def set_attribute(self, owner: Any, name: str, value: Any) -> None:
        if not isinstance(owner, Instance):
            raise self.error(f"there is no attribute '{name}' to set")
        if self.depth:
            raise self.g.unsupported(f"the attribute '{name}' is set under a condition that the network computes")
        if owner not in self.state.made:
            self.state.changed.add(name)
        self.state.attributes[owner, name] = value

    def expression(self, statement: ast.Expr, frame: Frame) -> None:
        self.value(statement.value, frame)

    def return_(self, statement: ast.Return, frame: Frame) -> Returned:
        return Returned(None if statement.value is None else self.value(statement.value, frame))

    def if_(self, statement: ast.If, frame: Frame) -> Returned | None:
        condition = self.truth(self.value(statement.test, frame))
        if isinstance(condition, bool):
            return self.block(statement.body if condition else statement.orelse, frame)
        return control.branches(self, statement, condition, frame)

    def while_(self, statement: ast.While, frame: Frame) -> Returned | None:
        condition = self.truth(self.value(statement.test, frame))
        for _ in range(LOOP):
            if not isinstance(condition, bool):
                control.loop(self, statement, frame, condition=condition)
                return None
            if not condition:
                return None
            returned = self.block(statement.body, frame)
            if returned is not None:
                return returned
            condition = self.truth(self.value(statement.test, frame))
        raise self.error(f"a loop of more than {LOOP} steps")

    def for_(self, statement: ast.For, frame: Frame) -> Returned | None:
        steps = self.range(statement.iter, frame)
        if isinstance(steps, Value):
            control.loop(self, statement, frame, trips=steps)
            return None
        if len(steps) > LOOP:
            raise self.error(f"a loop of {len(steps)} steps; at most {LOOP} are unrolled")
        for item in steps:
            self.bind(statement.target, item, frame)
            returned = self.block(statement.body, frame)
            if returned is not None:
                return returned
        return None

    def range(self, node: ast.expr, frame: Frame) -> Any:
        """What a loop runs over: `range(n)`; the Value where n is open."""
        is_range = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"
        if not isinstance(node, ast.Call) or not is_range or len(node.args) != 1:
            items = self.value(node, frame)
            if isinstance(items, (list, tuple)):
                return list(items)
            raise self.error("a loop over what is no range")
        count = self.value(node.args[0], frame)
        if isinstance(count, Unknown):
            raise UnsupportedError(self.problems)
        if not isinstance(count, (int, Value)):
            raise self.error("a range of what is no number")
        return count if isinstance(count, Value) else range(count)

    def with_(self, statement: ast.With, frame: Frame) -> Returned | None:
        """torch.no_grad and the like, which change nothing here."""
        for item in statement.items:
            owner = self.value(item.context_expr, frame)
            kind = owner.kind if isinstance(owner, Instance) else "?"
            if not kind.endswith(_HARMLESS):
                raise self.g.unsupported(f"code under 'with {kind}'")
        return self.block(statement.body, frame)

    # -------------------------------------------------------------- expressions

    def value(self, node: ast.expr, frame: Frame) -> Any:
        evaluate = _EXPRESSIONS.get(type(node))
        if evaluate is None:
            raise self.error(f"the expression '{type(node).__name__}' is no TorchScript")
        return evaluate(self, node, frame)

    def constant(self, node: ast.Constant, frame: Frame) -> Any:
        if isinstance(node.value, (bool, int, float, str, type(None))):
            return self.whole(node.value)
        raise self.error(f"a constant of the type {type(node.value).__name__}")

    def whole(self, value: Any) -> Any:
        """`value`; ConversionError for an integer that does not fit TorchScript's 64 bits, or a text without end."""
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise self.error("an integer of more than 64 bits")
        return value

    def name(self, node: ast.Name, frame: Frame) -> Any:
        if node.id in frame.names:
            return frame.names[node.id]
        if node.id in ("inf", "nan"):
            return float(node.id)
        if node.id in _ROOTS or node.id in builtins.NAMES or node.id == "CONSTANTS":
            return Dotted(node.id)
        raise self.error(f"the name '{node.id:.80}' is not known")

    def attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        owner = self.value(node.value, frame)
        return self.attribute_of(owner, node.attr)

    def attribute_of(self, owner: Any, name: str) -> Any:
        if isinstance(owner, Unknown):
            return UNKNOWN
        if isinstance(owner, Dotted):
            return self.dotted(owner.name, name)
        if isinstance(owner, NamedTuple) and name in owner.fields:
            return owner[owner.fields.index(name)]
        if isinstance(owner, Instance):
            return self.of_instance(owner, name)
        raise self.error(f"there is no attribute '{name:.80}' of {conversions.kind_of(owner)}")

    def dotted(self, owner: str, name: str) -> Any:
        if owner == "CONSTANTS":
            index = int(name[1:]) if name[:1] == "c" and name[1:].isdecimal() and len(name) < 9 else -1
            if not 0 <= index < len(self.constants):
                raise self.error(f"the constant '{name:.80}' is missing from the archive")
            return self.state.read(self.constants[index], f"constant{index}", "constants", self.root)
        if owner in ("math", "torch") and name in ("inf", "nan", "pi", "e"):
            return {"inf": np.inf, "nan": np.nan, "pi": np.pi, "e": np.e}[name]
        return Dotted(f"{owner}.{name}")

    def of_instance(self, owner: Instance, name: str) -> Any:
        if (owner, name) in self.state.attributes:
            return self.state.attributes[owner, name]
        if name in owner.attributes:
            path = ".".join(filter(None, (self.state.paths.get(owner, ""), name)))
            return self.state.read(owner.attributes[name], path, "data", self.root)
        if owner.state is not None:
            what = f"the module '{owner.kind}' restores itself by code of its own (__setstate__), as quantised ones do"
            raise self.g.unsupported(what, "netglot runs no code of a file; convert the float model.")
        constant = self.code.class_of(owner.kind).constants.get(name)
        if constant is None:
            raise self.error(f"'{owner.kind}' has no attribute '{name:.80}'")
        return self.value(constant, Frame({}))

    def subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        owner, index = self.value(node.value, frame), self.value(node.slice, frame)
        return conversions.item(self, owner, index)

    def call(self, node: ast.Call, frame: Frame) -> Any:
        self.step()
        if isinstance(node.func, ast.Name) and node.func.id in builtins.FORMS and node.func.id not in frame.names:
            return builtins.FORMS[node.func.id](self, node, frame)
        owner, function = self.callee(node.func, frame)
        args = [self.value(arg, frame) for arg in node.args]
        kwargs = {str(keyword.arg): self.value(keyword.value, frame) for keyword in node.keywords}
        if isinstance(owner, Unknown):
            return UNKNOWN
        if owner is not None:
            return self.method(owner, function, args, kwargs, frame)
        return self.called(function, args, kwargs, frame)

    def callee(self, node: ast.expr, frame: Frame) -> tuple[Any, str]:
        """The object whose method is called (None for a function), and the name."""
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value, frame)
            if isinstance(owner, (Instance, Unknown)):
                return owner, node.attr
            function = self.attribute_of(owner, node.attr)
        else:
            function = self.value(node, frame)
        if not isinstance(function, Dotted):
            raise self.error(f"{conversions.kind_of(function)} is called as a function")
        return None, function.name

    def called(self, name: str, args: list[Any], kwargs: dict[str, Any], frame: Frame) -> Any:
        if name.startswith("__torch__."):
            definition = self.code.find(name)
            if isinstance(definition, Class):
                return self.construct(definition, args, kwargs, frame)
            if definition is None:
                raise self.error(f"the archive has no code of '{name:.200}'")
            return self.function(definition, args, kwargs, frame)
        if any(isinstance(arg, Uninitialised) for arg in args):
            raise self.g.unsupported("a name is read that may have no value")
        if has_unknown([*args, *kwargs.values()]):
            return UNKNOWN
        return self.whole(call(self, name, args, kwargs))

    def sequence(self, node: ast.Tuple | ast.List, frame: Frame) -> Any:
        items = [self.value(item, frame) for item in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else List(items, self.depth)

    def mapping(self, node: ast.Dict, frame: Frame) -> Any:
        keys = [None if key is None else self.value(key, frame) for key in node.keys]
        if not all(isinstance(key, (str, int, float)) for key in keys):
            raise self.g.unsupported("a dict whose keys are no texts or known numbers")
        return Dict(zip(keys, (self.value(item, frame) for item in node.values), strict=True), self.depth)

    def unary(self, node: ast.UnaryOp, frame: Frame) -> Any:
        value = self.value(node.operand, frame)
        if not isinstance(node.op, ast.USub) or not isinstance(value, (int, float)):
            raise self.error(f"the expression '{type(node.op).__name__}' is no TorchScript")
        return -value

    # --------------------------------------------------------------- conditions

    def truth(self, value: Any) -> bool | Value:
        """A condition: known, or a scalar of the graph."""
        if isinstance(value, Unknown):
            raise UnsupportedError(self.problems)
        if isinstance(value, Tensor):
            value = conversions.to_bool(self, value)
        if isinstance(value, (bool, int, float)):
            return bool(value)
        if isinstance(value, Value):
            return self.g.cast(value, np.bool_)
        raise self.error(f"{conversions.kind_of(value)} is no condition")


_SENSELESS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


def _called(run: Interpreter, name: str, found: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A function of the language itself; a file may call it with anything."""
    try:
        return found(run, *args, **kwargs)
    except _SENSELESS as error:
        raise run.error(f"'{name:.80}' with these arguments: {error}") from None


def call(run: Interpreter, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A call of `torch.f`, `ops.prim.f`, or `ops.NAME.f` of another namespace."""
    operator = name.removeprefix("ops.").replace("torch.", "aten.", 1) if name[:6] == "torch." else name[4:]
    space, _, short = operator.rpartition(".")
    if space in ("", "aten", "prim") or name in builtins.NAMES:
        found = builtins.find(name if name in builtins.NAMES else short, args, kwargs)
        if found is not None:
            return _called(run, name, found, args, kwargs)
    if name == operator or not space:
        raise run.error(f"'{name:.80}' is no function of TorchScript")
    try:
        return operations.tensor_call(run, space, short, args, kwargs)
    except UnsupportedError as error:
        run.problems += error.problems
        return UNKNOWN


_HARMLESS = ("no_grad", "enable_grad", "inference_mode", "set_grad_enabled")

_STATEMENTS: dict[type[ast.stmt], Callable[..., Returned | None]] = {
    ast.Assign: Interpreter.assign, ast.AnnAssign: Interpreter.declare,
    ast.Expr: Interpreter.expression, ast.Return: Interpreter.return_,
    ast.If: Interpreter.if_, ast.While: Interpreter.while_, ast.For: Interpreter.for_, ast.With: Interpreter.with_,
    ast.Pass: lambda *_: None,
}  # fmt: skip
_EXPRESSIONS: dict[type[ast.expr], Callable[..., Any]] = {
    ast.Constant: Interpreter.constant, ast.Name: Interpreter.name, ast.Attribute: Interpreter.attribute,
    ast.Subscript: Interpreter.subscript, ast.Call: Interpreter.call, ast.Tuple: Interpreter.sequence,
    ast.List: Interpreter.sequence, ast.Dict: Interpreter.mapping, ast.UnaryOp: Interpreter.unary,
}  # fmt: skip
