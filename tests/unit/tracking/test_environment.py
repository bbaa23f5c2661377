import json
import subprocess
from pathlib import Path

import pytest

from quickspine.tracking.environment import environment, git_facts, versions


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", "-C", folder, *name, *arguments], check=True, capture_output=True, text=True
    ).stdout


def test_git_facts_name_the_commit_and_whether_tracked_files_differ(tmp_path: Path) -> None:
    assert git_facts(tmp_path) == {}
    git(tmp_path, "init", "--quiet")
    assert git_facts(tmp_path) == {}
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "untracked").write_text("1")
    assert git_facts(tmp_path) == {"git_commit": commit, "dirty": "false"}
    (tmp_path / "project").mkdir()
    (tmp_path / "a").write_text("2")
    assert git_facts(tmp_path) == {"git_commit": commit, "dirty": "true"}
    assert git_facts(tmp_path / "project")["dirty"] == "false"  # of the project's folder only


def test_without_git_there_are_no_git_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_facts() == {}


def test_a_program_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("quickspine.tracking.environment.TIMEOUT_S", 0.2)
    assert git_facts() == {}


def test_the_environment_holds_versions_but_no_secret_and_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "hunter2")
    text = json.dumps(environment())
    assert json.loads(text)["packages"]["mlflow"] == versions("mlflow", "no-such")["mlflow"]
    assert "hunter2" not in text
    assert str(Path.home()) + "/" not in text
    assert str(Path.cwd()) not in text
