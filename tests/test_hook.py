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
    language: system  # the environment that runs the tests has netglot; building one takes minutes
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A scratch repository whose pre-commit takes the hook from a repository of ours as it stands now."""
    ours, scratch = tmp_path / "netglot", tmp_path / "scratch"
    for folder in (ours, scratch):
        folder.mkdir()
        git(folder, "init", "-q")
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", ours)
    git(ours, "add", ".")
    git(ours, "commit", "-qm", "hooks")
    config = CONFIG.format(repo=ours, rev=git(ours, "rev-parse", "HEAD"))
    (scratch / ".pre-commit-config.yaml").write_text(config)
    return scratch


def commit(repository: Path) -> subprocess.CompletedProcess[str]:
    """`git add` everything and run the hook on it."""
    git(repository, "add", ".")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PRE_COMMIT_HOME": str(repository.parent / "cache")}
    command = [sys.executable, "-m", "pre_commit", "run"]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, env=environment)


def test_a_good_model_passes_and_a_truncated_one_is_refused(repository: Path) -> None:
    digits = ROOT / "examples" / "digits"
    shutil.copy(digits / "deploy.prototxt", repository / "digits.prototxt")
    shutil.copy(digits / "digits.caffemodel", repository)
    good = commit(repository)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Passed" in good.stdout
    (repository / "digits.caffemodel").write_bytes((digits / "digits.caffemodel").read_bytes()[:-2000])
    bad = commit(repository)
    assert bad.returncode != 0
    assert "digits.caffemodel" in bad.stdout
    assert "truncated" in bad.stdout
