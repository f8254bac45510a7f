"""The pre-commit hook, through the real pre-commit on a scratch repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracles import ROOT

CONFIG = """\
repos:
- repo: {repo}
  rev: {rev}
  hooks:
  - id: netglot-validate
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A scratch repository whose pre-commit takes the hook from this checkout's last commit."""
    git(tmp_path, "init", "-q")
    config = CONFIG.format(repo=ROOT, rev=git(ROOT, "rev-parse", "HEAD"))
    (tmp_path / ".pre-commit-config.yaml").write_text(config)
    return tmp_path


def commit(repository: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """`git add` everything and run the hook on it."""
    git(repository, "add", ".")
    environment = os.environ | {"PRE_COMMIT_HOME": str(cache)}
    command = [sys.executable, "-m", "pre_commit", "run"]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, env=environment)


def test_a_good_model_passes_and_a_truncated_one_is_refused(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """pre-commit makes the hook's own environment, as it does for a user: that takes most of a minute."""
    cache = tmp_path_factory.mktemp("pre-commit")
    digits = ROOT / "examples" / "digits"
    shutil.copy(digits / "deploy.prototxt", repository / "digits.prototxt")
    shutil.copy(digits / "digits.caffemodel", repository)
    good = commit(repository, cache)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Passed" in good.stdout
    (repository / "digits.caffemodel").write_bytes((digits / "digits.caffemodel").read_bytes()[:-2000])
    bad = commit(repository, cache)
    assert bad.returncode != 0
    assert "digits.caffemodel" in bad.stdout
    assert "truncated" in bad.stdout
