"""An environment for each peer: made once from its requirements, kept, made anew when half-made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from quickspine.bench.processes import last_line, surroundings
from quickspine.bench.turns import CannotRunError, tell
from quickspine.errors import NoSpaceError
from quickspine.files import STATE, digest, lock, sha256, whole_file
from quickspine.space import need_space

FOLDER = STATE / "peers"
MARKER = "ready"  # in a finished environment: the digest of what it was made from
LIMIT_S = 1800.0  # of one call of pip


def python_of(name: str, requirements: Path, room: int = 0, folder: Path = FOLDER) -> Path:
    """The interpreter of the environment `name`, made from `requirements` where it is not there.

    It is made anew where the requirements or this Python changed, and where nobody finished it.

    Args:
        name: of the environment.
        requirements: a file for pip; where it has hashes, pip checks those of all packages.
        room: bytes that it needs on the disk.
        folder: where environments are kept; deleting it costs time, nothing else.

    Raises:
        CannotRunError: where it cannot be made: no network, no wheel, no room.
    """
    if not requirements.is_file():
        raise CannotRunError(f"{requirements} is not there; run the bench in the project's folder")
    place = folder.absolute() / name
    made_from = digest([sha256(requirements), sys.version, str(place)])
    try:
        with lock(f"peers-{name}"):
            if _marked(place) != made_from or not _python(place).exists():
                tell(f"making an environment for {name} in {folder / name}, once")
                _make_anew(place, requirements, made_from, room)
    except NoSpaceError as error:
        raise CannotRunError(str(error)) from None
    return _python(place)


def _python(place: Path) -> Path:
    return place / "bin" / "python"


def _make_anew(place: Path, requirements: Path, made_from: str, room: int) -> None:
    shutil.rmtree(place, ignore_errors=True)
    try:
        need_space(place, room, "do without this peer")
        place.parent.mkdir(parents=True, exist_ok=True)
        _make(place, requirements)
        with whole_file(place / MARKER) as partial:
            partial.write_text(made_from, encoding="utf-8")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)  # it may be gigabytes
        raise


def _marked(place: Path) -> str:
    try:
        return (place / MARKER).read_text(encoding="utf-8")
    except OSError:
        return ""


def _make(place: Path, requirements: Path) -> None:
    _run("venv", [sys.executable, "-m", "venv", str(place)])
    hashes = ["--require-hashes"] if "--hash=" in requirements.read_text("utf-8") else []
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2"]
    pip = [str(_python(place)), "-m", "pip", "install", *quiet, *hashes]
    _run("pip", [*pip, "-r", str(requirements)])


def _run(program: str, command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, no shell
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
            stdin=subprocess.DEVNULL,
            env=surroundings(own_code=False),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotRunError(f"{program} was not done after {LIMIT_S:.0f} s") from None
    except OSError as error:
        raise CannotRunError(f"{program} does not start ({error.strerror})") from None
    if done.returncode:
        said = (done.stderr or done.stdout).splitlines()
        errors = [line for line in said if line.startswith("ERROR:")]
        raise CannotRunError(f"{program} failed ({last_line(chr(10).join(errors or said))})")
