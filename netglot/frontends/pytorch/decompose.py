"""What has no mapping goes through torch's own decompositions, where torch is installed."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from netglot.errors import ConversionError
from netglot.frontends.pytorch import aliases, sources, trusted
from netglot.frontends.pytorch.program import Call, Program, of_json
from netglot.frontends.pytorch.reader import is_known
from netglot.frontends.pytorch.written import written_through

_ROUNDS = 4  # a decomposition may hold operators that must be decomposed themselves


def decomposed(program: Program) -> Program:
    """A program of known operators only, as far as torch can make it.

    Where something is left, the program as it was: the reader reports its operators, which the user's code names.
    """
    if _needs_functions(program):
        written = written_through(program)
        if not (_unknown(written) or _needs_functions(written)):
            return written
    result = program
    for _ in range(_ROUNDS):
        unknown = _unknown(result)
        if not (unknown or _needs_functions(result)) or result.serialised is None:
            return result
        further = _rewritten(result, unknown)
        if further is None or further.targets() == result.targets():
            break
        result = further
    return program if _unknown(result) or _needs_functions(result) else result


def _unknown(program: Program) -> set[str]:
    calls = [call for body in program.bodies() for call in body.calls]
    return {call.target for call in calls if not is_known(call.target) or _is_autocast(call)}


def _is_autocast(call: Call) -> bool:
    """Whether the operators of a body cast their arguments without the program saying so: torch can make it say so."""
    enabled = [value for _, value in call.arguments[2:3]]
    return call.target == "higher_order.wrap_with_autocast" and enabled != [False]


def _needs_functions(program: Program) -> bool:
    return any(aliases.unsafe_mutations(body, is_inner=body is not program.body) for body in program.bodies())


def _rewritten(program: Program, unknown: set[str]) -> Program | None:
    """The program after torch.export's run_decompositions; None where torch is not here or can't do it."""
    try:
        import torch
    except ImportError:
        program.notes.append("torch is not installed; its decompositions were not tried")
        return None
    if _is_torn(torch, program):
        return None
    table = _table(torch, unknown)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = trusted.exported(program).run_decompositions(table)
    except ConversionError:
        return None
    except Exception:  # whatever torch's tracing raises: the reader reports the operators themselves
        return None
    rewritten = of_json(sources.serialised(result), program.weights, program.file)
    rewritten.notes = list(dict.fromkeys([*program.notes, *rewritten.notes]))
    rewritten.outputs = tuple(
        (name, value) for (name, _), (_, value) in zip(program.outputs, rewritten.outputs, strict=True)
    )
    return rewritten


def _is_torn(torch: Any, program: Program) -> bool:
    """Whether torch's functionalisation would lose a change, for it believes the schemas of operators.

    dropout and einsum, say, may give out their very argument, and their schemas do not say so. Nor does it know that
    two buffers lie in one memory.
    """
    calls = (call for body in program.bodies() for call in body.calls)
    silent = {aliases.name_of(call) for call in calls if not _says_so(torch, call.target)}
    return any(
        aliases.seen_changes(body, aliases.VIEWS, is_inner=is_inner)
        != aliases.seen_changes(replace(body, shared=()), aliases.VIEWS - silent, is_inner=is_inner)
        for body in program.bodies()
        for is_inner in [body is not program.body]
    )


def _says_so(torch: Any, target: str) -> bool:
    """Whether the schema of an operator says that its result shares memory."""
    operator = torch.ops
    for part in target.split("."):
        operator = getattr(operator, part, None)
    schema = getattr(operator, "_schema", None)  # what runs bodies has none
    return schema is None or any(item.alias_info is not None for item in schema.returns)


def _table(torch: Any, unknown: set[str]) -> dict[Any, Any]:
    """torch's decompositions of the operators in `unknown` alone: what has a mapping stays whole."""
    from torch._decomp import decomposition_table

    wanted = {name for target in unknown for name in (target, _functional(target))}
    default = torch.export.default_decompositions()
    for operator in list(default):
        if str(operator) not in wanted:
            default.pop(operator)
    for operator, function in decomposition_table.items():
        if str(operator) in wanted and operator not in default:
            default[operator] = function
    found: dict[Any, Any] = default
    return found


def _functional(target: str) -> str:
    """aten.add_.Tensor -> aten.add.Tensor: in-place calls are made functional before they are decomposed."""
    parts = target.split(".")
    return ".".join([parts[0], parts[1].rstrip("_"), *parts[2:]]) if len(parts) > 1 else target
