"""Files that lie, break off or try to be executed: one clear message, nothing run, no memory taken."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.options import LoadOptions
from netglot.frontends.pytorch import sources, symbols, trusted
from netglot.runtimes.onnxruntime import OnnxRuntime


def meta(*sizes: int, dtype: int = 7) -> dict[str, Any]:
    steps = [int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))]
    return {
        "dtype": dtype, "sizes": [{"as_int": size} for size in sizes], "requires_grad": False, "layout": 7,
        "device": {"type": "cpu", "index": None}, "strides": [{"as_int": step} for step in steps],
        "storage_offset": {"as_int": 0},
    }  # fmt: skip


def tensor(name: str) -> dict[str, Any]:
    return {"as_tensor": {"name": name}}


def node(target: str, inputs: dict[str, Any], output: str) -> dict[str, Any]:
    given = [{"name": name, "arg": arg, "kind": 1} for name, arg in inputs.items()]
    return {"target": target, "inputs": given, "outputs": [tensor(output)], "metadata": {}}


def program() -> dict[str, Any]:
    """relu(x + weight), as torch.export would write it."""
    return {
        "graph_module": {
            "graph": {
                "inputs": [tensor("p_w"), tensor("x")], "outputs": [tensor("relu")],
                "nodes": [
                    node("torch.ops.aten.add.Tensor", {"self": tensor("x"), "other": tensor("p_w")}, "add"),
                    node("torch.ops.aten.relu.default", {"self": tensor("add")}, "relu"),
                ],
                "tensor_values": {name: meta(2, 3) for name in ("p_w", "x", "add", "relu")},
                "sym_int_values": {}, "sym_bool_values": {}, "is_single_tensor_return": False,
                "custom_obj_values": {}, "sym_float_values": {},
            },
            "signature": {
                "input_specs": [
                    {"parameter": {"arg": {"name": "p_w"}, "parameter_name": "w"}},
                    {"user_input": {"arg": tensor("x")}},
                ],
                "output_specs": [{"user_output": {"arg": tensor("relu")}}],
            },
            "module_call_graph": [],
        },
        "range_constraints": {}, "schema_version": {"major": 8, "minor": 20},
    }  # fmt: skip


def weights(**entries: Any) -> dict[str, Any]:
    given = {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": meta(2, 3)} | entries
    return {"config": {"w": given}}


WEIGHT = np.arange(-3, 3, dtype=np.float32).tobytes()


def archive(path: Path, data: Any = None, config: Any = None, weight: bytes = WEIGHT, **files: bytes) -> Path:
    entries = {
        "models/model.json": json.dumps(data if data is not None else program()).encode(),
        "data/weights/model_weights_config.json": json.dumps(config or weights()).encode(),
        "data/weights/weight_0": weight,
    } | files
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(f"net/{name}", content)
    return path


class Bomb:
    """What runs a command when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.sentinel}'",)


def test_a_handmade_program_is_read(tmp_path: Path) -> None:
    """The base of what follows is valid: what is refused below is refused for what was changed."""
    graph = load(archive(tmp_path / "net.pt2"))
    x = np.ones((2, 3), np.float32)
    wanted = np.maximum(x + np.arange(-3, 3, dtype=np.float32).reshape(2, 3), 0)
    np.testing.assert_array_equal(OnnxRuntime(graph).run({"x": x})["relu"], wanted)


def test_weights_are_views_of_the_file(tmp_path: Path) -> None:
    graph = load(archive(tmp_path / "net.pt2"))
    (constant,) = graph.constants()
    assert not constant.array.flags.owndata
    assert not constant.array.flags.writeable


# --------------------------------------------------------------------- pickles


def test_sample_inputs_are_never_unpickled(tmp_path: Path) -> None:
    sentinel = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(sentinel))
    load(archive(tmp_path / "net.pt2", **{"data/sample_inputs/model.pt": bomb}))
    assert not sentinel.exists()


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.pt2"])
def test_a_pickle_is_refused_unopened(tmp_path: Path, name: str) -> None:
    sentinel, path = tmp_path / "executed", tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(sentinel)))
    with pytest.raises(ConversionError, match=r"is a pickle.*does not open it[\s\S]*torch.export.save"):
        load(path)
    assert not sentinel.exists()


def test_a_pickled_module_or_state_dict_is_refused(tmp_path: Path) -> None:
    sentinel, path = tmp_path / "executed", tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", pickle.dumps(Bomb(sentinel)))
        file.writestr("net/version", "3")
    with pytest.raises(ConversionError, match=r"state dict or module[\s\S]*torch.export.save"):
        load(path)
    assert not sentinel.exists()


def test_a_real_state_dict_and_module_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2, 3)
    for item in (module, module.state_dict()):
        torch.save(item, tmp_path / "net.pth")
        with pytest.raises(ConversionError, match="state dict or module"):
            load(tmp_path / "net.pth")


def test_a_pickled_weight_goes_through_the_weights_only_loader(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    sentinel = tmp_path / "executed"
    config = weights(use_pickle=True)
    with pytest.raises(ConversionError, match="weights-only loader refuses"):
        load(archive(tmp_path / "bomb.pt2", config=config, weight=pickle.dumps(Bomb(sentinel))))
    assert not sentinel.exists()
    stream = io.BytesIO()
    torch.save(torch.ones(2, 3), stream)
    graph = load(archive(tmp_path / "net.pt2", config=config, weight=stream.getvalue()))
    assert float(OnnxRuntime(graph).run({"x": np.ones((2, 3), np.float32)})["relu"].sum()) == 12


# ------------------------------------------------------------- sizes and structure


def _changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    data = copy.deepcopy(weights())
    change(data["config"]["w"]["tensor_meta"])
    return data


BAD_META: dict[str, Callable[[dict[str, Any]], None]] = {
    "a shape whose product overflows": lambda m: m.update(sizes=[{"as_int": 1 << 40}] * 2),
    "a count of 2^60": lambda m: m.update(sizes=[{"as_int": 1 << 60}], strides=[{"as_int": 1}]),
    "a negative size": lambda m: m.update(sizes=[{"as_int": -2}, {"as_int": 3}]),
    "a negative stride": lambda m: m["strides"].__setitem__(0, {"as_int": -3}),
    "a stride out of the file": lambda m: m["strides"].__setitem__(0, {"as_int": 1000}),
    "an offset out of the file": lambda m: m.update(storage_offset={"as_int": 1}),
    "strides of another rank": lambda m: m.update(strides=[{"as_int": 1}]),
    "an open size": lambda m: m["sizes"].__setitem__(0, {"as_expr": {"expr_str": "s0"}}),
    "an unknown type": lambda m: m.update(dtype=99),
}


@pytest.mark.parametrize("name", BAD_META)
def test_weights_that_do_not_fit_the_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConversionError, match="the weight 'w' can't be read"):
        load(archive(tmp_path / "net.pt2", config=_changed(BAD_META[name])))


def test_a_weight_that_stands_for_many_takes_no_memory(tmp_path: Path) -> None:
    """Strides of zero are torch's expanded tensors: 2^40 elements may be one number in the file."""
    config = _changed(lambda m: m.update(sizes=[{"as_int": 1 << 20}] * 2, strides=[{"as_int": 0}] * 2))
    with pytest.raises(ConversionError):
        load(archive(tmp_path / "net.pt2", config=config))


def test_truncated_files(tmp_path: Path) -> None:
    whole = archive(tmp_path / "net.pt2").read_bytes()
    for size in (0, 3, 4, 40, len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.pt2").write_bytes(whole[:size])
        with pytest.raises(ConversionError):
            load(tmp_path / "cut.pt2")


@pytest.mark.parametrize("cut", [0, 1, 8, 23])
def test_a_truncated_weight(tmp_path: Path, cut: int) -> None:
    with pytest.raises(ConversionError, match="it needs 24 bytes"):
        load(archive(tmp_path / "net.pt2", weight=WEIGHT[:cut]))


BAD_JSON: dict[str, bytes] = {
    "nothing": b"", "no JSON": b"{", "a list": b"[]", "a number": b"7", "deep": b"[" * 100_000,
    "no graph": b'{"graph_module": {}}', "not text": b"\xff\xfe\x00",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_JSON)
def test_json_that_is_no_program(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "net.pt2", **{"models/model.json": BAD_JSON[name]})
    with pytest.raises(ConversionError, match=r"net\.pt2"):
        load(path)


def test_a_tensor_that_nobody_makes(tmp_path: Path) -> None:
    data = program()
    data["graph_module"]["graph"]["nodes"][1]["inputs"][0]["arg"] = tensor("nobody")
    with pytest.raises(ConversionError, match="'nobody' is read before it is made"):
        load(archive(tmp_path / "net.pt2", data))


def test_a_cycle(tmp_path: Path) -> None:
    data = program()
    data["graph_module"]["graph"]["nodes"].reverse()
    with pytest.raises(ConversionError, match="'add' is read before it is made"):
        load(archive(tmp_path / "net.pt2", data))


def test_what_torch_recorded_is_not_what_is_computed(tmp_path: Path) -> None:
    data = program()
    data["graph_module"]["graph"]["tensor_values"]["add"] = meta(2, 4)
    with pytest.raises(ConversionError, match="torch says"):
        load(archive(tmp_path / "net.pt2", data))


def test_a_missing_weight(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="the weight 'w' is missing"):
        load(archive(tmp_path / "net.pt2", config={"config": {}}))


# ------------------------------------------------------------ what torch would execute

CODE = [
    "__import__('os').system('touch executed')", "(lambda: 0)()", "[x for x in (1,)]", "s0.__class__", "open('x')",
    "Symbol('s0').func", "f'{s0}'", "Symbol(__import__)", "eval('1')", "'a' * 9", "sympify('1')", "(s0 := 3)",
    "Float('1; import os')", "Add(*[1])", "Symbol('s0', cls=open)",
    "9**9**9", "Pow(9, Integer(9))", "Pow(2, Integer(s0))", "Pow(Integer(9), -9)",
    "(" * 20 + "3" + "**4)" * 20, "Pow(9, s0)", "1 << (1 << 40)", "s0 + 10000000000000000000000",
]  # fmt: skip


@pytest.mark.parametrize("text", CODE)
def test_sizes_are_arithmetic_only(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        symbols.checked(text)
    data = program()
    data["graph_module"]["graph"]["tensor_values"]["add"]["sizes"][0] = {"as_expr": {"expr_str": text}}
    with pytest.raises(ConversionError):
        load(archive(tmp_path / "net.pt2", data))
    assert not Path("executed").exists()


@pytest.mark.parametrize("text", ["s0", "2*s0 + 1", "Symbol('s77', positive=True, integer=True)", "FloorDiv(s0, 2)",
                                  "Max(1, Mod(s0, 3))", "(s0 - 1)**2", "Add(Integer(1), s0)",
                                  "Pow(Symbol('s5', positive=True, integer=True), Integer(2))",
                                  "Pow(s0, Integer(-1))"])  # fmt: skip
def test_sizes_of_real_programs_are_accepted(text: str) -> None:
    symbols.checked(text)


TARGETS = [
    "torch.hub.load", "torch.utils.cpp_extension.load_inline", "os.system", "builtins.eval", "torch.load",
    "_operator.attrgetter", "torch.ops.load_library", "torch.ops.aten.relu.default.__class__",
    "torch.serialization.load",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_targets_that_are_no_operators(tmp_path: Path, target: str) -> None:
    """They are unknown to netglot, and never handed to torch."""
    data = program()
    data["graph_module"]["graph"]["nodes"][1]["target"] = target
    path = archive(tmp_path / "net.pt2", data)
    with pytest.raises(UnsupportedError, match="is not supported"):
        load(path)
    with pytest.raises(ConversionError, match="is no operator of torch"):
        trusted.exported(sources.read(path, LoadOptions()))


def test_guards_and_trees_of_the_file_are_not_handed_to_torch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    sentinel = tmp_path / "executed"
    data = program()
    data["guards_code"] = [f"open({str(sentinel)!r}, 'w')"]
    tree = '[1, {"type": "evil", "context": "", "children_spec": []}]'
    call = {"inputs": [], "outputs": [], "in_spec": tree, "out_spec": tree}
    data["graph_module"]["module_call_graph"] = [{"fqn": "", "signature": call}]
    exported = trusted.exported(sources.read(archive(tmp_path / "net.pt2", data), LoadOptions()))
    exported.module()
    assert not sentinel.exists()


def test_an_honest_description_of_a_huge_file_takes_no_memory(tmp_path: Path) -> None:
    """In a process that may have 1.5 GB of addresses."""
    resource = pytest.importorskip("resource")
    del resource
    config = _changed(lambda m: m.update(sizes=[{"as_int": 1 << 60}], strides=[{"as_int": 1}]))
    path = archive(tmp_path / "net.pt2", config=config)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29));"
        "from netglot.cli import main; main(['inspect', sys.argv[1]])"
    )
    limits = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, env=limits, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "the weight 'w' can't be read" in done.stderr


def test_a_long_chain_is_read_in_linear_time(tmp_path: Path) -> None:
    data = program()
    graph = data["graph_module"]["graph"]
    names = ["add", *(f"r{i}" for i in range(20_000))]
    graph["nodes"] = [graph["nodes"][0], *(
        node("torch.ops.aten.relu.default", {"self": tensor(a)}, b) for a, b in itertools.pairwise(names)
    )]  # fmt: skip
    graph["outputs"] = [tensor(names[-1])]
    data["graph_module"]["signature"]["output_specs"] = [{"user_output": {"arg": tensor(names[-1])}}]
    assert len(load(archive(tmp_path / "net.pt2", data)).nodes()) == 20_001


def test_sizes_are_computed() -> None:
    symbol = "Symbol('s1', positive=True, integer=True)"
    for text, wanted in ((f"Add({symbol}, 2)", 7), (f"Mul(2, {symbol})", 10), ("2*s1 - 1", 9), ("FloorDiv(s1, 2)", 2),
                         ("s1**2", 25), ("-s1 + 8", 3)):  # fmt: skip
        assert symbols.evaluated(text, {"s1": 5}) == wanted
    for text in ("Where(s1, 1, 2)", "s2 + 1", "s1 < 3"):
        with pytest.raises(ValueError, match="can't be computed"):
            symbols.evaluated(text, {"s1": 5})
