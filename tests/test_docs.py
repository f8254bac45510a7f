"""What the documentation says is what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracles import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"])


def test_the_list_of_operators_is_current() -> None:
    """If not: python -m netglot.coverage > docs/operators.md. (In a process of its own: tests register layers too.)"""
    command = [sys.executable, "-m", "netglot.coverage"]
    current = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "operators.md").read_text() == current


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_shows_the_command_as_it_is() -> None:
    from click.testing import CliRunner

    from netglot.cli import main

    text = (ROOT / "README.md").read_text()
    for command in ("convert", "inspect", "verify", "validate"):
        shown = re.search(rf"    netglot {command} .*?(?=\n    netglot|\n\n)", text, re.DOTALL)
        assert shown
        options = CliRunner().invoke(main, [command, "--help"]).output
        for flag in re.findall(r"--[a-z-]+", shown.group()):
            assert flag in options, f"netglot {command} {flag}"


def test_the_plugin_of_the_guide_works(tmp_path: Path) -> None:
    import numpy as np

    import netglot
    from netglot.convert import open_model

    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL)
    assert code
    (tmp_path / "my_layers.py").write_text(code[1])
    (tmp_path / "net.prototxt").write_text(
        'input: "x" input_shape { dim: 1 dim: 2 dim: 3 dim: 4 }\n'
        'layer { name: "y" type: "Swishy" bottom: "x" top: "y" swishy_param { beta: 2 } }'
    )
    for target in ("net.onnx", "net.tflite"):  # a second conversion in the same process may name it again
        netglot.convert(tmp_path / "net.prototxt", tmp_path / target, plugins=[tmp_path / "my_layers.py"])
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)
    found = open_model(tmp_path / "net.tflite").run({"x": x})["y"]
    assert np.allclose(found, x / (1 + np.exp(-2 * x)), atol=1e-6)
