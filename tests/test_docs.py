"""What the documentation says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netglot.coverage import to_markdown
from tests.oracles import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"])


def test_the_list_of_operators_is_current() -> None:
    """If not: python -m netglot.coverage > docs/operators.md"""
    assert (ROOT / "docs" / "operators.md").read_text() == to_markdown()


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
