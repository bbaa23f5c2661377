"""What people who live in DVC meet: shells without the environment, copies, odd params."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.func.project import Project, environment, new

VENV = Path(sys.prefix)
BARE = "/usr/bin:/bin"  # a shell in which no environment is active


def run_bare(project: Project, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as in a fresh shell: its `python3` is the system's."""
    variables = {**environment(project.path), "PATH": BARE}
    del variables["PYTHONPATH"]
    return subprocess.run(
        command, cwd=project.path, env=variables, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new(tmp_path / "a project")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("python3", path=BARE), reason="the system has no python3")
def test_stages_find_the_project_s_environment(project: Project) -> None:
    """`.venv/bin/dvc repro`, `exp run --temp` and `python3 -m pipeline.fetch`, not activated."""
    dvc = str(VENV / "bin" / "dvc")
    failed = run_bare(project, dvc, "repro", "fetch")
    assert failed.returncode != 0
    assert "make setup" in failed.stderr
    assert "Traceback" not in failed.stderr

    (project.path / ".venv").symlink_to(VENV)
    assert run_bare(project, "python3", "-m", "pipeline.fetch").returncode == 0
    shutil.rmtree(project.path / "data")
    done = run_bare(project, dvc, "repro", "fetch")
    assert done.returncode == 0, done.stderr
    assert (project.path / "data/raw/manifest.json").is_file()
    project.commit()
    queued = run_bare(project, dvc, "exp", "run", "--temp", "-S", "data.seed=7", "fetch")
    assert queued.returncode == 0, queued.stderr
    assert "seed: 1 " in (project.path / "params.yaml").read_text()


@pytest.mark.parametrize("seeds", [1, None, "1,2"])
def test_seeds_that_are_no_list_are_refused_before_dvc(project: Project, seeds: object) -> None:
    """DVC itself would end in "'Value' object is not iterable"."""
    project.set({"seeds": seeds})
    done = project.run("python", "-m", "quickspine.inputs", check=False)
    assert done.returncode == 2
    assert "seeds: " in done.stderr
    assert "Traceback" not in done.stderr
    lines = (project.path / "Makefile").read_text().splitlines()
    for target in ("repro", "plan"):
        assert any(line.startswith(f"{target}: params ") for line in lines), target


def test_a_missing_folder_is_named_by_key_before_dvc(project: Project) -> None:
    """DVC itself would say "No such file or directory: inputs/data"; and its own runs still do."""
    project.set({"data.source": "folder", "data.folder": "lost", "data.image_size": 32})
    done = project.run("python", "-m", "quickspine.inputs", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("data.folder: no such folder. Received: lost")
    link = project.path / "inputs" / "data"
    assert link.readlink() == Path("none")
    link.unlink()
    link.symlink_to("/lost")  # as a disk that was unplugged leaves it
    done = project.run("python", "-m", "quickspine.plan", check=False)
    assert done.returncode == 2
    assert "run: make plan" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_copied_project_is_set_up_anew(project: Project) -> None:
    """Its .venv would run the code of the project that it was copied from."""
    ready = project.path / ".venv" / "ready"
    ready.parent.mkdir()

    def planned(content: str) -> str:
        ready.write_text(content)
        later = (project.path / "requirements.lock").stat().st_mtime + 10
        os.utime(ready, (later, later))
        return project.run("make", "-n", "setup").stdout

    assert "-m venv" not in planned(f"{project.path}\n")
    assert "-m venv" in planned("/somewhere/else\n")
    assert "-m venv" in planned("")


def test_digests_do_not_depend_on_git_s_line_ends(project: Project, tmp_path: Path) -> None:
    """A clone with core.autocrlf=true has the same bytes, so DVC finds nothing changed."""
    clone = tmp_path / "clone"
    project.run("git", "clone", "-q", "-c", "core.autocrlf=true", ".", str(clone))
    for name in ("params.yaml", "dvc.yaml", "src/quickspine/cli.py"):
        assert (clone / name).read_bytes() == (project.path / name).read_bytes()
        assert b"\r" not in (clone / name).read_bytes()
