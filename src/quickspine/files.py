"""Atomic writes, locks that name their holder, digests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from quickspine.errors import InputError
from quickspine.space import naming

# Ignored by git and by DVC, so that a leftover never enters the digest of an output.
PARTIAL = ".partial-"
MAX_JSON = 64 << 20  # bytes: a manifest of two hundred thousand shards
_checks: list[Callable[[], None]] = []  # each may refuse that an output takes its place
STATE = Path(".quickspine")  # locks, checkpoints and features: what no stage declares as output


def sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hex sha256 of a JSON-able value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _sweep(place: Path) -> None:
    """Remove what a killed writer of the same place left behind (this process has the lock)."""
    ours = re.compile(re.escape(f"{PARTIAL}{place.name}-") + r"(\d+|old)")
    for old in list(place.parent.iterdir()):
        if ours.fullmatch(old.name):  # another place's name may begin with ours
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _final(place: Path) -> Path:
    """The final name of a path inside a partial folder."""
    partial_name = re.compile(rf"{re.escape(PARTIAL)}(.+)-\d+")
    return Path(*[partial_name.sub(r"\1", part) for part in place.parts])


@contextlib.contextmanager
def checked_outputs(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before any `whole_folder` of the block is renamed; an error prevents that."""
    _checks.append(check)
    try:
        yield
    finally:
        _checks.remove(check)


@contextlib.contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """Yield an empty folder beside `place`; rename it to `place` if the block succeeds.

    Example:
        with whole_folder(Path("data/raw")) as folder:
            (folder / "manifest.json").write_text("{}")

    After an exception `place` is as it was, and the partial folder is gone.

    Raises:
        NoSpaceError: instead of whichever error the block raises when the disk becomes full.
    """
    if place.is_symlink():  # to another disk: what is behind it is replaced, not the link
        place = place.resolve()
    with naming(_final(place)):
        place.parent.mkdir(parents=True, exist_ok=True)
        old = place.parent / f"{PARTIAL}{place.name}-old"
        if old.exists() and not place.exists():  # killed between the two renames
            old.rename(place)
        _sweep(place)
        partial = place.parent / f"{PARTIAL}{place.name}-{os.getpid()}"
        partial.mkdir()
        try:
            yield partial
            for check in _checks:
                check()
            for root, _, names in os.walk(partial):
                for name in names:
                    _sync(Path(root, name))
                _sync(Path(root))
            if place.exists():
                place.rename(old)
            partial.rename(place)
            _sync(place.parent)
            with contextlib.suppress(OSError):
                _sweep(place)
        finally:
            if old.exists() and not place.exists():  # interrupted between the two renames
                old.rename(place)
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def whole_file(place: Path) -> Iterator[Path]:
    """Yield a path beside `place` to write; rename it to `place` if the block succeeds.

    Raises:
        NoSpaceError: instead of whichever error the block raises when the disk becomes full.
    """
    with naming(_final(place)):
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        partial = place.parent / f"{PARTIAL}{place.name}-{os.getpid()}"
        try:
            yield partial
            _sync(partial)
            partial.replace(place)
            _sync(place.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_json(place: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically; the same value gives the same bytes."""
    with whole_file(place) as partial:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(place: Path, made_by: str) -> Any:
    """Read a JSON object; `made_by` is the stage to name where it is missing or damaged."""
    try:
        # Checked first: a named pipe would block, and a huge file would fill the memory.
        if not stat.S_ISREG(place.stat().st_mode):
            raise ValueError("not a plain file")
        if place.stat().st_size > MAX_JSON:
            raise ValueError(f"more than {MAX_JSON} bytes")
        value = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{place}: missing; run: dvc repro {made_by}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{place}: damaged ({error}); run: dvc repro -f {made_by}") from None
    if not isinstance(value, dict):
        raise InputError(f"{place}: not a JSON object; run: dvc repro -f {made_by}")
    return value


def write_manifest(place: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Write `value` and its `digest` as JSON; return what was written."""
    manifest = {**value, "digest": digest(value)}
    write_json(place, manifest)
    return manifest


def read_manifest(place: Path, made_by: str) -> dict[str, Any]:
    """Read what `write_manifest` wrote.

    Raises:
        InputError: if it is missing, damaged, or was edited since.
    """
    manifest: dict[str, Any] = read_json(place, made_by)
    if manifest.get("digest") != digest({k: v for k, v in manifest.items() if k != "digest"}):
        raise InputError(
            f"{place}: damaged or edited (its digest does not fit); run: dvc repro -f {made_by}"
        )
    return manifest


@contextlib.contextmanager
def lock(name: str, wait_s: float = 600.0) -> Iterator[None]:
    """Hold the lock `name` of this project; it is freed when the process dies.

    Raises:
        InputError: if another process, named in the message, still holds it after `wait_s`.
    """
    folder = STATE / "locks"
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    held, holder = FileLock(folder / f"{name}.lock"), folder / f"{name}.holder"
    try:
        with naming(folder):
            held.acquire(timeout=0)
    except Timeout:
        who = _holder_name(holder)
        print(f"{name}: waiting for {who}, up to {wait_s:.0f} s", file=sys.stderr, flush=True)
        try:
            held.acquire(timeout=wait_s)
        except Timeout:
            raise InputError(
                f"{name}: still held by {_holder_name(holder)} after {wait_s:.0f} s; "
                "end it, then run this again"
            ) from None
    try:
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError):  # only used in messages
            holder.write_text(f"process {os.getpid()} (since {started})", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)  # while it is ours: the next one writes its own name
        held.release()


def _holder_name(holder: Path) -> str:
    """Who holds the lock; the holder may be releasing it, or not have written its name yet."""
    try:
        return holder.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
