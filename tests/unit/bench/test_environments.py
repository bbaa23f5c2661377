"""Environments of peers: real ones, of a package made here, without a network."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from quickspine.bench import environments
from quickspine.bench.turns import CannotRunError

MAKE = """
from pathlib import Path
from quickspine.bench.environments import python_of
python_of("peer", Path("peer.txt"))
"""


def wheel(folder: Path, value: int) -> Path:
    """A package of one module."""
    place = folder / f"tinypeer-{value}-py3-none-any.whl"
    info = f"tinypeer-{value}.dist-info"
    with zipfile.ZipFile(place, "w") as file:
        file.writestr("tinypeer.py", f"VALUE = {value}\n")
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinypeer\nVersion: {value}\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    return place


def require(folder: Path, value: int, digest: str = "") -> Path:
    """A requirements file of that package."""
    hashes = f" --hash=sha256:{digest}" if digest else ""
    wheel(folder, value)
    place = folder / "peer.txt"
    place.write_text(f"--no-index\n--find-links {folder}\ntinypeer=={value}{hashes}\n")
    return place


def value(python: Path) -> str:
    return subprocess.check_output(
        [python, "-c", "import tinypeer; print(tinypeer.VALUE)"], text=True
    ).strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_made_kept_and_made_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = environments.python_of("peer", require(project, 1))
    assert value(python) == "1"
    assert python.is_relative_to(project / ".quickspine")
    # Kept: nothing is run to find out.
    with monkeypatch.context() as patched:
        patched.setattr(environments, "_run", lambda *_: pytest.fail("made again"))
        assert environments.python_of("peer", project / "peer.txt") == python
    # Other requirements: made anew, and nothing of the old one is left.
    leftover = python.parent / "leftover"
    leftover.touch()
    assert value(environments.python_of("peer", require(project, 2))) == "2"
    assert not leftover.exists()
    # Half-made, as a kill leaves it: without the marker.
    leftover.touch()
    (python.parents[1] / environments.MARKER).unlink()
    assert value(environments.python_of("peer", project / "peer.txt")) == "2"
    assert not leftover.exists()


def test_killed_while_it_is_made_it_is_made_anew(project: Path) -> None:
    require(project, 1)
    place = project / ".quickspine" / "peers" / "peer"
    maker = subprocess.Popen([sys.executable, "-c", MAKE], cwd=project, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (place / "pyvenv.cfg").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(maker.pid, signal.SIGKILL)
    maker.wait()
    assert (place / "pyvenv.cfg").exists()
    assert not (place / environments.MARKER).exists()
    assert value(environments.python_of("peer", project / "peer.txt")) == "1"


def test_what_pip_cannot_find_is_said_in_a_line_and_nothing_is_left(project: Path) -> None:
    place = project / "peer.txt"
    place.write_text("--no-index\nno-such-package-anywhere==1.0\n")
    with pytest.raises(CannotRunError, match=r"^pip failed \(ERROR: .*no-such-package-anywhere"):
        environments.python_of("peer", place)
    assert not (project / ".quickspine" / "peers" / "peer").exists()


def test_a_package_of_another_hash_is_refused(project: Path) -> None:
    with pytest.raises(CannotRunError, match="pip failed"):
        environments.python_of("peer", require(project, 1, "0" * 64))
    place = project / "peer.txt"
    right = hashlib.sha256((project / "tinypeer-1-py3-none-any.whl").read_bytes()).hexdigest()
    place.write_text(place.read_text().replace("0" * 64, right))
    assert value(environments.python_of("peer", place)) == "1"


def test_no_room_and_no_requirements_are_said(project: Path) -> None:
    with pytest.raises(CannotRunError, match=r"are needed and .* are free"):
        environments.python_of("peer", require(project, 1), room=1 << 60)
    with pytest.raises(CannotRunError, match=r"absent\.txt is not there"):
        environments.python_of("peer", project / "absent.txt")
    assert not (project / ".quickspine" / "peers").exists()
