"""TensorFlow files made to harm: one clear error each, in time, nothing executed, nothing written.

The graphs are written by hand in the text form; what TensorFlow refuses to write can be said in it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netglot.cli import main
from netglot.convert import load

FLOAT, BOOL, SCALAR, VECTOR = (
    "{ type: DT_FLOAT }",
    "{ type: DT_BOOL }",
    "{ shape { } }",
    "{ shape { dim { size: 3 } } }",
)


def node(name: str, op: str, *inputs: str, **attributes: str) -> str:
    reads = "".join(f' input: "{item}"' for item in inputs)
    said = "".join(f' attr {{ key: "{key}" value {value} }}' for key, value in attributes.items())
    return f'node {{ name: "{name}" op: "{op}"{reads}{said} }}'


def func(name: str) -> str:
    return f'{{ func {{ name: "{name}" }} }}'


def constant(name: str, value: str = "1", dtype: str = "DT_INT32", field: str = "int_val", shape: str = "") -> str:
    return node(name, "Const", value=f"{{ tensor {{ dtype: {dtype} tensor_shape {{ {shape} }} {field}: {value} }} }}")


def declared(kind: str, count: int, dtype: str) -> str:
    return "".join(f' {kind}put_arg {{ name: "{kind}{k}" type: {dtype} }}' for k in range(count))


def function(name: str, inputs: int, returns: Sequence[str], *nodes: str, dtype: str = "DT_FLOAT") -> str:
    """A function of in0, in1... that returns `returns`."""
    signature = f'name: "{name}"{declared("in", inputs, dtype)}{declared("out", len(returns), dtype)}'
    body = " ".join("node_def" + item.removeprefix("node") for item in nodes)
    ret = "".join(f' ret {{ key: "out{k}" value: "{item}" }}' for k, item in enumerate(returns))
    return f"library {{ function {{ signature {{ {signature} }} {body}{ret} }} }}"


def call(name: str, called: str, *inputs: str) -> str:
    return node(name, "PartitionedCall", *inputs, f=func(called))


X = node("x", "Placeholder", dtype=FLOAT, shape=VECTOR)
P = node("p", "Placeholder", dtype=BOOL, shape=SCALAR)


def written(folder: Path, *parts: str) -> Path:
    path = folder / "hostile.pbtxt"
    path.write_text("\n".join(parts), "utf-8")
    return path


def converted(path: Path, *more: str) -> Result:
    out = path.parent / "converted" / "out.onnx"
    out.parent.mkdir(exist_ok=True)
    begin = time.perf_counter()
    result = CliRunner().invoke(main, ["convert", str(path), "-o", str(out), "--no-verify", *more])
    assert time.perf_counter() - begin < 30
    assert list(out.parent.iterdir()) == ([] if result.exit_code else [out])
    return result


def refused(path: Path, match: str, *more: str, code: int = 2) -> None:
    """The command says in a few lines what is wrong with which file, and gives no traceback."""
    result = converted(path, *more)
    assert result.exit_code == code, result.output or repr(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert re.search(match, " ".join(result.output.split())), result.output
    assert path.name in result.output
    assert "Traceback" not in result.output
    assert len(result.output) < 2000


# ------------------------------------------------------------------ functions


def test_functions_that_call_each_other(tmp_path: Path) -> None:
    first = function("f", 1, ["a"], call("a", "g", "in0"))
    second = function("g", 1, ["b"], call("b", "f", "in0"))
    refused(written(tmp_path, X, first, second, call("y", "f", "x")), "more than 64 deep")


@pytest.mark.parametrize("op", ["PartitionedCall", "f"])
def test_a_function_that_calls_itself(tmp_path: Path, op: str) -> None:
    inner = call("a", "f", "in0") if op != "f" else node("a", "f", "in0")
    refused(written(tmp_path, X, function("f", 1, ["a"], inner), call("y", "f", "x")), "more than 64 deep")


def test_a_billion_calls(tmp_path: Path) -> None:
    """Each function calls the next one ten times."""
    calls = [
        function(f"f{k}", 1, ["c9"], *(call(f"c{i}", f"f{k + 1}", f"c{i - 1}" if i else "in0") for i in range(10)))
        for k in range(12)
    ]
    last = function("f12", 1, ["a"], node("a", "Relu", "in0"))
    refused(written(tmp_path, X, *calls, last, call("y", "f0", "x")), "more than .* nodes")


def test_calls_in_calls_are_limited(tmp_path: Path) -> None:
    calls = [function(f"f{k}", 1, ["a"], call("a", f"f{k + 1}", "in0")) for k in range(2000)]
    last = function("f2000", 1, ["a"], node("a", "Relu", "in0"))
    refused(written(tmp_path, X, *calls, last, call("y", "f0", "x")), "more than 64 deep")


def test_calls_of_another_arity(tmp_path: Path) -> None:
    f = function("f", 2, ["a"], node("a", "AddV2", "in0", "in1"))
    refused(written(tmp_path, X, f, call("y", "f", "x")), "'f' takes 2 inputs and got 1")
    refused(written(tmp_path, X, f, call("y", "nowhere", "x")), "no function 'nowhere'")
    refused(written(tmp_path, X, f, call("c", "f", "x", "x"), node("y", "Relu", "c:1")), "no output 1 .*'c'")


def test_functions_that_return_what_is_not_there(tmp_path: Path) -> None:
    refused(written(tmp_path, X, function("f", 1, ["nowhere:y:0"]), call("y", "f", "x")), "nowhere")
    missing = function("f", 1, ["a"], node("a", "Relu", "in0")).replace('ret { key: "out0"', 'ret { key: "other"')
    refused(written(tmp_path, X, missing, call("y", "f", "x")), "out0")


# ----------------------------------------------------------------- control flow

LESS = function("cond", 2, ["a"], node("a", "Less", "in0", "in1")).replace(
    'output_arg { name: "out0" type: DT_FLOAT }', 'output_arg { name: "out0" type: DT_BOOL }'
)


def while_(*inputs: str) -> str:
    return node("y", "While", *inputs, cond=func("cond"), body=func("body"))


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (function("body", 1, ["in0"]), "with 2 states returns 1"),
        (function("body", 2, ["in0"]), "with 2 states returns 1"),
        (function("body", 2, ["in0", "in1", "in0"]), "with 2 states returns 3"),
        (
            function("body", 2, ["a", "in1"], node("a", "Cast", "in0", DstT="{ type: DT_INT32 }")),
            "once float32, once int32",
        ),
    ],
)
def test_bodies_of_another_arity(tmp_path: Path, body: str, match: str) -> None:
    scalar = node("x", "Placeholder", dtype=FLOAT, shape=SCALAR)
    refused(written(tmp_path, scalar, LESS, body, while_("x", "x")), match)


def test_a_condition_that_is_no_boolean(tmp_path: Path) -> None:
    cond = function("cond", 1, ["in0"])
    body = function("body", 1, ["a"], node("a", "Relu", "in0"))
    refused(written(tmp_path, X, cond, body, while_("x")), "no boolean", code=3)


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (function("g", 1, ["in0", "in0"]), "one branch returns 1, the other 2"),
        (function("g", 1, ["a"], node("a", "Cast", "in0", DstT="{ type: DT_INT32 }")), "once float32, once int32"),
        (function("g", 2, ["in0"]), "takes 2 inputs and got 1"),
    ],
)
def test_branches_that_differ(tmp_path: Path, other: str, match: str) -> None:
    f = function("f", 1, ["a"], node("a", "Relu", "in0"))
    if_ = node("y", "If", "p", "x", then_branch=func("f"), else_branch=func("g"))
    refused(written(tmp_path, X, P, f, other, if_), match)


def test_a_case_without_branches(tmp_path: Path) -> None:
    index = node("i", "Placeholder", dtype="{ type: DT_INT32 }", shape=SCALAR)
    case = node("y", "Case", "i", "x", branches="{ list { } }")
    refused(written(tmp_path, X, index, case), "Case")


ENTER = {"frame_name": '{ s: "loop" }', "T": FLOAT}


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([node("s", "Switch", "x", "p"), node("y", "Relu", "s:1")], "Switch"),
        ([node("y", "Merge", "x", "x")], "Merge"),
        ([node("y", "Merge", "y", "y")], "nested"),
        ([node("y", "Merge")], "Merge|no output"),
        ([node("e", "Enter", "x", **ENTER), node("y", "Relu", "e")], "Enter"),
        ([node("e", "Enter", "x", **ENTER), node("m", "Merge", "e", "n"), node("n", "NextIteration", "m")], "nested"),
        ([node("y", "Exit", "x")], "Exit"),
        ([node("y", "NextIteration", "x")], "NextIteration"),
        ([node("e", "Enter", **ENTER), node("m", "Merge", "e", "n"), node("y", "Exit", "m")], "Enter lacks"),
        ([node("s", "Switch"), node("m", "Merge", "s", "s:1"), node("y", "Relu", "m")], "Switch lacks"),
        ([node("s", "Switch", "x", "p"), node("m", "Merge", "s", "s"), node("y", "Relu", "m")], "Switch"),
        (
            [
                node("e", "Enter", "x", **ENTER), node("m", "Merge", "e", "n"), node("c", "LoopCond"),
                node("s", "Switch", "m", "c"), node("n", "NextIteration"), node("y", "Exit", "s"),
            ],
            "LoopCond lacks",
        ),
    ],
)  # fmt: skip
def test_torn_control_flow(tmp_path: Path, nodes: list[str], match: str) -> None:
    path = written(tmp_path, X, P, *nodes)
    result = converted(path, "--output", "y" if 'name: "y"' in nodes[-1] or 'name: "y"' in nodes[0] else "m")
    assert result.exit_code in (2, 3), result.output or repr(result.exception)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert re.search(match, result.output), result.output


def test_branches_in_branches(tmp_path: Path) -> None:
    """Each Merge depends on the one before it; there is no end of the stack."""
    nodes = []
    for k in range(300):
        before = f"m{k - 1}" if k else "x"
        nodes += [
            node(f"s{k}", "Switch", before, "p"),
            node(f"a{k}", "Relu", f"s{k}:1"),
            node(f"m{k}", "Merge", f"s{k}", f"a{k}"),
        ]
    result = converted(written(tmp_path, X, P, *nodes), "--output", "m299")
    assert result.exit_code == 0, result.output or repr(result.exception)


# ------------------------------------------------------------------------ nodes


def test_cycles(tmp_path: Path) -> None:
    ring = [node("a", "AddV2", "x", "c"), node("b", "Relu", "a"), node("c", "Relu", "b"), node("y", "Relu", "c")]
    refused(written(tmp_path, X, *ring), "cycle through '[abc]'", "--output", "y")
    refused(
        written(tmp_path, X, node("a", "Relu", "a"), node("y", "AddV2", "a", "x")), "cycle through 'a'", "--output", "y"
    )


def test_a_long_chain(tmp_path: Path) -> None:
    chain = [node(f"n{k}", "Relu" if k % 2 else "Neg", f"n{k - 1}" if k else "x") for k in range(5_000)]
    chain += [node("y", "Neg", f"n{len(chain) - 1}")]
    graph = load(written(tmp_path, X, *chain))
    assert sum(1 for _ in graph.nodes()) == 5_001


def test_a_long_chain_backwards_in_a_function(tmp_path: Path) -> None:
    chain = [node(f"n{k}", "Neg", f"n{k - 1}" if k else "in0") for k in range(5_000)]
    f = function("f", 1, ["n4999"], *reversed(chain))
    assert len(list(load(written(tmp_path, X, f, call("y", "f", "x"))).nodes())) == 5_000


def test_what_is_read_is_not_there(tmp_path: Path) -> None:
    refused(written(tmp_path, X, node("y", "AddV2", "x", "nowhere")), "no node 'nowhere'", "--output", "y")
    refused(written(tmp_path, X, node("y", "Relu", "x:7")), "placeholder 'x'", "--output", "y")
    refused(written(tmp_path, X, node("a", "Relu", "x"), node("y", "Relu", "a:1")), "no output 1 of the node 'a'")
    refused(written(tmp_path, X, node("y", "AddV2", "x", "x:z:1")), "x", "--output", "y")
    refused(written(tmp_path, X, node("y", "AddV2", "x", "x:0:0:0")), "placeholder|names no tensor", "--output", "y")
    refused(written(tmp_path, X, node("y", "AddV2", "x", "")), "node ''|names no", "--output", "y")
    refused(written(tmp_path, X, node("y", "AddV2", "x")), "AddV2", "--output", "y")
    refused(written(tmp_path, X, node("y", "Relu", "x", "x", "x")), "Relu", "--output", "y")
    refused(written(tmp_path, X, node("y", "Relu", "x")), "no tensor 'z'", "--output", "z")
    refused(written(tmp_path, X, node("y", "Relu", "x")), "no output 3", "--output", "y:3")
    refused(written(tmp_path, X, node("y", "Relu", "x")), "z", "--input", "z:3")


@pytest.mark.parametrize("name", ["^y", "a:0", "a:b:c", "", "ä ö/ü", "\\n", "../y", "a" * 5000, "-y", "%s{0}"])
def test_names_of_nodes(tmp_path: Path, name: str) -> None:
    """What can be named is converted, what can't is said; nothing lies elsewhere."""
    result = converted(written(tmp_path, X, node(name, "Relu", "x"), node("z", "Relu", "x")))
    assert result.exit_code in (0, 2), result.output or repr(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_two_nodes_of_one_name(tmp_path: Path) -> None:
    refused(written(tmp_path, X, node("y", "Relu", "x"), node("y", "Neg", "x")), "two nodes.*'y'|'y'.*twice")
    refused(written(tmp_path, X, X, node("y", "Relu", "x")), "two nodes.*'x'|'x'.*twice")


def test_a_node_and_an_input_of_one_name(tmp_path: Path) -> None:
    """An output may be called as another tensor is: by the signature, or by the nodes that were made."""
    path = written(tmp_path, X, node("y", "Relu", "x"), node("y/constant", "Neg", "x"), node("y_1", "Neg", "x"))
    assert sorted(value.name for value in load(path).outputs) == ["y", "y/constant", "y_1"]


@pytest.mark.parametrize(
    "text",
    [
        node("y", "Cast", "x", DstT='{ s: "float" }'),
        node("y", "Cast", "x", DstT="{ i: 1 }"),
        node("y", "Cast", "x"),
        node("y", "MaxPool", "x"),
        node("y", "MaxPool", "x", ksize="{ i: 3 }", strides="{ i: 2 }", padding='{ s: "SAME" }'),
        node("y", "MaxPool", "x", ksize="{ list { i: 3 } }", strides="{ list { i: 0 } }", padding='{ s: "S" }'),
        node("y", "LeakyRelu", "x", alpha='{ s: "x" }'),
        node("y", "LeakyRelu", "x", alpha="{ list { f: 1 } }"),
        node("y", "Relu", "x", other="{ i: 1 }"),
        node("y", "PartitionedCall", "x"),
        node("y", "PartitionedCall", "x", f='{ s: "f" }'),
        node("y", "PartitionedCall", "x", f="{ type: DT_FLOAT }"),
        node("y", "If", "p", "x", then_branch="{ i: 1 }", else_branch="{ i: 1 }"),
        node("y", "If", "p", "x"),
        node("y", "While", "x"),
        node("y", "While", "x", cond="{ i: 1 }", body="{ b: true }"),
        node("y", "Case", "x", "x", branches="{ i: 1 }"),
        node("y", "EnsureShape", "x", shape="{ i: 1 }"),
        node("y", "EnsureShape", "x", shape="{ shape { dim { size: 4 } } }"),
        node("y", "EnsureShape", "x", shape="{ shape { dim { size: 4 } dim { size: 4 } } }"),
        node("y", "TensorListReserve", "x", "x"),
        node("y", "TensorListStack", "x", "x", element_dtype=FLOAT),
        node("y", "ReadVariableOp", "x", dtype=FLOAT),
        node("y", "ResourceGather", "x", "x", dtype=FLOAT),
        node("y", "TensorArrayReadV3", "x", "x", "x", dtype=FLOAT),
    ],
)
def test_attributes_of_the_wrong_kind(tmp_path: Path, text: str) -> None:
    result = converted(written(tmp_path, X, P, text), "--output", "y")
    assert result.exit_code in (2, 3), result.output or repr(result.exception)
    assert "hostile.pbtxt:3 layer 'y': " in result.output, result.output


@pytest.mark.parametrize("dims", [(10**12,), (10**6, 10**6), (2**62, 4), (2**63 - 1, 2**63 - 1), (-5,)])
@pytest.mark.parametrize("value", ["float_val: 1", 'tensor_content: "abcd"', ""])
def test_constants_that_claim_much(tmp_path: Path, dims: tuple[int, ...], value: str) -> None:
    shape = "".join(f"dim {{ size: {dim} }} " for dim in dims)
    tensor = f"{{ tensor {{ dtype: DT_FLOAT tensor_shape {{ {shape} }} {value} }} }}"
    refused(written(tmp_path, X, node("c", "Const", value=tensor), node("y", "AddV2", "x", "c")), "c")


@pytest.mark.parametrize(
    "nodes",
    [
        [constant("n", "2147483647"), node("f", "Fill", "n", "v"), node("y", "AddV2", "x", "f")],
        [constant("n", "2147483647"), constant("z", "0"), constant("o", "1"), node("r", "Range", "z", "n", "o"),
         node("c", "Cast", "r", DstT=FLOAT), node("y", "AddV2", "x", "c")],
        [constant("n", "1000000000", shape="dim { size: 1 }"), node("t", "Tile", "x", "n"), node("y", "Relu", "t")],
        [constant("n", "1000000000", shape="dim { size: 1 }"), node("t", "Tile", "v1", "n"), node("y", "Relu", "t")],
        [constant("n", "-5", shape="dim { size: 1 }"), node("t", "Reshape", "x", "n"), node("y", "Relu", "t")],
    ],
)  # fmt: skip
def test_numbers_that_grow(tmp_path: Path, nodes: list[str]) -> None:
    """Nothing is made that large while the model is read: it stays for whoever runs it, or is refused."""
    v = constant("v", "1", "DT_FLOAT", "float_val")
    v1 = constant("v1", "1", "DT_FLOAT", "float_val", "dim { size: 1 }")
    result = converted(written(tmp_path, X, v, v1, *nodes), "--output", "y")
    assert result.exit_code in (0, 2, 3)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)


# ------------------------------------------------------------- the world outside


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        ("ReadFile", ["name"]), ("PyFunc", ["x"]), ("EagerPyFunc", ["x"]), ("PyFuncStateless", ["x"]),
        ("LoadLibrary", ["name"]), ("_LoadLibrary", ["name"]), ("MatchingFiles", ["name"]), ("WholeFileReaderV2", []),
        ("RestoreV2", ["name", "names", "names"]), ("Restore", ["name", "name"]), ("LoadAndRemapMatrix", ["name"]),
    ],
)  # fmt: skip
def test_nothing_outside_of_the_model_is_touched(tmp_path: Path, op: str, inputs: list[str]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    name = constant("name", f'"{secret}"', "DT_STRING", "string_val")
    names = constant("names", f'"{secret}"', "DT_STRING", "string_val", "dim { size: 1 }")
    path = written(tmp_path, X, name, names, node("y", op, *inputs))
    refused(path, f"{op}.*(not supported|reads files)", "--output", "y", code=3)


def test_nothing_is_written(tmp_path: Path) -> None:
    target = tmp_path / "target"
    name = constant("name", f'"{target}"', "DT_STRING", "string_val")
    write, y = node("w", "WriteFile", "name", "name"), node("y", "Relu", "x", "^w")
    converted(written(tmp_path, X, name, write, y), "--output", "y")
    assert not target.exists()
