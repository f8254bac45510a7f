"""Keras files made to harm: one clear error each, nothing executed, nothing allocated for a claim."""

from __future__ import annotations

import base64
import json
import marshal
import os
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.keras import load

Config = dict[str, Any]


def layer(kind: str, name: str, inbound: Any = (), **config: Any) -> Config:
    """A layer as Keras 3 writes it."""
    return {
        "module": "keras.layers", "class_name": kind, "config": {"name": name, "trainable": True, **config},
        "registered_name": None, "name": name, "inbound_nodes": list(inbound),
    }  # fmt: skip


def tensor(name: str, node: int = 0, index: int = 0) -> Config:
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "keras_history": [name, node, index]}}


def node(*names: str) -> Config:
    return {"args": [tensor(name) for name in names], "kwargs": {}}


def functional(*layers: Config, outputs: Any = (("y", 0, 0),), inputs: Any = (("x", 0, 0),)) -> Config:
    config = {
        "name": "m", "layers": [layer("InputLayer", "x", batch_shape=[None, 3]), *layers],
        "input_layers": [list(ref) for ref in inputs], "output_layers": [list(ref) for ref in outputs],
    }  # fmt: skip
    return {"module": "keras", "class_name": "Functional", "config": config, "registered_name": "Functional"}


DENSE = functional(layer("Dense", "y", [node("x")], units=2))


def weights(path: Path, make: Callable[[h5py.Group], None] | None = None) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        if make:
            make(group)
        else:
            group["0"], group["1"] = np.ones((3, 2), np.float32), np.zeros(2, np.float32)
    return path


def archive(path: Path, config: Any = DENSE, make: Callable[[h5py.Group], None] | None = None) -> Path:
    h5 = weights(path.with_suffix(".h5"), make).read_bytes()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", '{"keras_version": "3.9.0"}')
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", h5)
    return path


@contextmanager
def bounded(extra: int = 1 << 29) -> Iterator[None]:
    """Inside, more than `extra` bytes more of address space can't be had."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def refused(path: Path, match: str, *more: Path) -> None:
    with bounded(), pytest.raises(ConversionError, match=match) as caught:
        load(path, *more)
    assert str(path) in str(caught.value)
    assert not caught.value.__context__ or caught.value.__cause__ is not None or caught.value.__suppress_context__


def test_the_model_that_the_others_are_made_of(tmp_path: Path) -> None:
    assert [value.name for value in load(archive(tmp_path / "m.keras")).outputs] == ["y"]


# ---------------------------------------------------------------------- archive


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_members_that_leave_the_archive(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(name, "evil")
    refused(path, "leaves the archive")
    assert not list(tmp_path.parent.glob("evil"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_are_there_twice(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("config.json", json.dumps(functional()))
    refused(path, "'config.json' twice")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_zip_bomb(tmp_path: Path, member: str) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("config.json", json.dumps(DENSE) if member != "config.json" else b"[" + b" " * (1 << 28))
        if member != "config.json":
            file.writestr(member, b"\0" * (1 << 28))
    refused(path, "zip bomb")


def test_a_member_that_claims_another_size(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras")
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(b"model.weights.h5"))
    data[at + 20 : at + 28] = struct.pack("<II", 1 << 31, 1 << 31)
    path.write_bytes(data)
    refused(path, "claims|beyond")


def test_a_compressed_archive_is_read(tmp_path: Path) -> None:
    stored, packed = archive(tmp_path / "m.keras"), tmp_path / "packed.keras"
    with zipfile.ZipFile(stored) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert [value.array.tolist() for value in load(packed).constants() if value.array.ndim == 2] == [[[1, 1]] * 3]


@pytest.mark.parametrize("cut", [10, 100, -30, -200])
def test_a_truncated_file(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path / "m.keras")
    path.write_bytes(path.read_bytes()[:cut])
    refused(path, "archive|HDF5")


def test_an_archive_without_what_it_needs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        file.writestr("other", "x")
    refused(tmp_path / "m.keras", "has no config.json")


# ------------------------------------------------------------------- description


@pytest.mark.parametrize(
    "text", ["", "no json", "[1]", '"x"', "{}", '{"class_name": 3}', "[" * 200_000, '{"a":' * 99_999]
)
def test_a_description_that_is_none(tmp_path: Path, text: str) -> None:
    refused(archive(tmp_path / "m.keras", text), "JSON|description|deeply|malformed")


def test_layers_nested_too_deeply(tmp_path: Path) -> None:
    config = functional()
    for i in range(300):
        config = functional({**config, "name": f"n{i}", "inbound_nodes": [node("x")]})
    refused(archive(tmp_path / "m.keras", json.dumps(config)), "deeply|no call")


def test_a_cycle(tmp_path: Path) -> None:
    config = functional(layer("Dense", "y", [node("z")], units=3), layer("Dense", "z", [node("y")], units=3))
    refused(archive(tmp_path / "m.keras", config), "cycle")


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (functional(layer("Dense", "y", [node("nowhere")], units=3)), "no call 0 of a layer 'nowhere'"),
        (functional(layer("Dense", "y", [{"args": [tensor("x", 0, 7)]}], units=2)), "no output 7"),
        (functional(layer("Dense", "y", [{"args": [tensor("x", -1, 0)]}], units=2)), "no call -1"),
        (functional(layer("Dense", "y", [{"args": [tensor("x", 0, -1)]}], units=2)), "no output -1"),
        (functional(layer("Dense", "y", [{"args": 3}], units=2)), "malformed"),
        (functional(layer("Dense", "y", [["x"]], units=2)), "malformed"),
        (functional(layer("Dense", "y", [[["x", 0, 0, 3]]], units=2)), "malformed"),
        (functional(layer("Dense", "y", [node("x")], units="two")), "Dense"),
        (functional(layer("Dense", "y", [node("x")], units=[2])), "Dense"),
        (functional(layer("Dense", "y", [node("x")], units=10**12)), "a variable has 3x2"),
        (functional(*[layer("Dense", "y", [node("x")], units=2)] * 2), "are called"),
        (functional(layer("Dense", "y", [node("x")], units=2), outputs=[("z", 0, 0)]), "'z'"),
        (functional(layer("Dense", "y", [node("x")], units=2), inputs=[]), "not among the model's inputs"),
        (functional(layer("Dense", "y", [node("x")], units=2, dtype="float99")), "no element type"),
        (functional(layer("Dense", "y", [node("x")], units=2, dtype={"config": [1]})), "no element type"),
        (functional(layer("Dense", "y", [], units=2)), "'y' has no output 0"),
    ],
)  # fmt: skip
def test_descriptions_that_make_no_sense(tmp_path: Path, config: Config, match: str) -> None:
    refused(archive(tmp_path / "m.keras", config), match)


@pytest.mark.parametrize("shape", ["x", [None, -3], [None, 1.5], [None, 10**30], 7, [None, True]])
def test_an_input_shape_that_is_none(tmp_path: Path, shape: Any) -> None:
    config = functional(layer("Dense", "y", [node("x")], units=2))
    config["config"]["layers"][0]["config"]["batch_shape"] = shape
    refused(archive(tmp_path / "m.keras", config), "'x' has no shape")


def test_a_chain_that_doubles_at_every_step_takes_linear_time(tmp_path: Path) -> None:
    layers = [layer("Add", "a0", [{"args": [[tensor("x"), tensor("x")]]}])]
    layers += [layer("Add", f"a{i}", [{"args": [[tensor(f"a{i - 1}"), tensor(f"a{i - 1}")]]}]) for i in range(1, 200)]
    path = archive(tmp_path / "m.keras", functional(*layers, outputs=[("a199", 0, 0)]), lambda group: None)
    assert len(load(path).nodes()) == 200


# -------------------------------------------------------------------------- code


def _touch(path: Path) -> str:
    """The code of a function that leaves a file behind, marshalled as Keras does."""
    scope: dict[str, Any] = {}
    exec(f"def f(x):\n    open({str(path)!r}, 'w')\n    return x", scope)
    return base64.b64encode(marshal.dumps(scope["f"].__code__)).decode()


@pytest.mark.parametrize("form", ["list", "dict"])
def test_code_in_a_lambda_is_never_run(tmp_path: Path, form: str) -> None:
    code, left = _touch(tmp_path / "executed"), tmp_path / "executed"
    value: Any = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    value = [code, None, None] if form == "list" else value
    path = archive(
        tmp_path / "m.keras", functional(layer("Lambda", "y", [node("x")], function=value)), lambda group: None
    )
    with pytest.raises(UnsupportedError, match=r"'y' is a Lambda: the code in it is never run(.|\n)*--plugin"):
        load(path)
    assert not left.exists()


@pytest.mark.parametrize("module", ["os", "netglot_evil", "keras.src.evil", "kerasevil", None])
def test_modules_that_a_file_names_are_never_imported(
    tmp_path: Path, module: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("netglot_evil", "kerasevil"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    evil = {**layer("system", "y", [node("x")], command="x"), "module": module, "registered_name": "system"}
    with pytest.raises(UnsupportedError, match="system"):
        load(archive(tmp_path / "m.keras", functional(evil), lambda group: None))
    evil = {**layer("Dense", "y", [node("x")], units=2), "module": module, "registered_name": "Dense"}
    if module != "keras.src.evil":  # which says that it is Keras' own
        with pytest.raises(UnsupportedError, match=r"'Dense' is not one of Keras(.|\n)*--plugin"):
            load(archive(tmp_path / "m.keras", functional(evil)))
    assert not (tmp_path / "executed").exists()


# -------------------------------------------------------------------------- HDF5


def _claims_10tb(group: h5py.Group) -> None:
    group.create_dataset("0", (10 << 40,), np.uint8)
    group["1"] = np.zeros(2, np.float32)


def _claims_10tb_in_chunks(group: h5py.Group) -> None:
    group.create_dataset("0", (10 << 40, 2), np.float32, chunks=(1 << 10, 2), compression="gzip")
    group["0"][0] = 1


def _bomb(group: h5py.Group) -> None:
    group.create_dataset("0", (1 << 30,), np.uint8, chunks=(1 << 20,), compression="gzip", compression_opts=9)
    group["0"][: 1 << 20] = np.zeros(1 << 20, np.uint8)


def _external_file(group: h5py.Group) -> None:
    group.create_dataset("0", (3, 2), np.float32, external=[("/etc/hostname", 0, 24)])


def _external_link(group: h5py.Group) -> None:
    group["0"] = h5py.ExternalLink("/etc/hostname", "/x")


def _soft_link(group: h5py.Group) -> None:
    group.file["other"] = np.ones((3, 2), np.float32)
    group["0"] = h5py.SoftLink("/other")


def _virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((3, 2), np.float32)
    layout[:] = h5py.VirtualSource("/tmp/elsewhere.h5", "x", (3, 2))
    group.create_virtual_dataset("0", layout)


def _strings(group: h5py.Group) -> None:
    group["0"] = ["a", "b"]


def _objects(group: h5py.Group) -> None:
    group.create_dataset("0", (3,), h5py.vlen_dtype(np.float32))


def _group(group: h5py.Group) -> None:
    group.create_group("0")


def _cycle(group: h5py.Group) -> None:
    group["0"], group["1"] = np.ones((3, 2), np.float32), np.zeros(2, np.float32)
    group.parent["again"] = group.parent


def _doubling(group: h5py.Group) -> None:
    group["0"], group["1"] = np.ones((3, 2), np.float32), np.zeros(2, np.float32)
    inner = group.parent
    for _ in range(60):
        below = inner.create_group("a")
        inner["b"] = below
        inner = below


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (_claims_10tb, "claims"), (_claims_10tb_in_chunks, "claims"), (_bomb, "claims"),
        (_external_file, "another file"), (_external_link, "link"), (_soft_link, "link"), (_virtual, "another file"),
        (_strings, "numbers"), (_objects, "numbers"), (_group, "has none"), (_cycle, "twice"), (_doubling, "twice"),
    ],
)  # fmt: skip
def test_variables_that_are_not_there(tmp_path: Path, make: Callable[[h5py.Group], None], match: str) -> None:
    refused(archive(tmp_path / "m.keras", make=make), match)


def test_compressed_variables_are_read(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)

    def make(group: h5py.Group) -> None:
        group.create_dataset("0", data=values, chunks=(2, 2), compression="gzip", shuffle=True)
        group.create_dataset("1", data=values[0].astype(">f4"))

    graph = load(archive(tmp_path / "m.keras", make=make))
    found = [value.array.tolist() for value in graph.constants()]
    assert values.tolist() in found
    assert values[0].tolist() in found


def test_a_legacy_file_whose_names_lead_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(DENSE), "2.4.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = ["y"]
        group.create_group("y").attrs["weight_names"] = ["../../etc", "/model_weights/y"]
    refused(path, "the file has none")


@pytest.mark.parametrize(("make", "code"), [(_claims_10tb, 2), (None, 3)])
def test_the_command_says_what_is_wrong_and_writes_nothing(
    tmp_path: Path, make: Callable[[h5py.Group], None] | None, code: int
) -> None:
    from click.testing import CliRunner

    from netglot.cli import main

    config = DENSE if make else functional(layer("Lambda", "y", [node("x")], function=["x", None, None]))
    path = archive(tmp_path / "m.keras", config, make or (lambda group: None))
    before = sorted(tmp_path.iterdir())
    result = CliRunner().invoke(main, ["convert", str(path), "-o", str(tmp_path / "m.onnx")])
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert "layer 'y'" in result.output or "claims" in result.output
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_takes_a_description_with_weights(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from netglot.cli import main

    (tmp_path / "m.json").write_text(json.dumps(DENSE))
    arguments = [str(tmp_path / "m.json"), str(weights(tmp_path / "m.weights.h5")), "-o", str(tmp_path / "m.onnx")]
    result = CliRunner().invoke(main, ["convert", *arguments])
    assert result.exit_code == 0, result.output


def test_neither_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"neither")
    refused(tmp_path / "m.keras", "neither a .keras archive, nor HDF5, nor JSON")
