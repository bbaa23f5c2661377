"""Disk space: checked before the work, and named where it runs out all the same."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from quickspine.errors import InputError, NoSpaceError

RESERVE = 8_000_000  # bytes that are left free: for manifests, logs, and ends of blocks
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
# DVC removes the outputs of a stage before it runs.
UNTOUCHED = "what was there before is untouched, or comes back with: dvc checkout"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no disk, no quota, a limit on files' sizes


def need_space(place: Path, needed: int, remedy: str) -> None:
    """Raise before the work if the disk of `place` has too little space for it.

    What exists at `place` is not counted as space: it stays until its successor is whole.

    Args:
        place: the file or folder that will be written.
        needed: bytes.
        remedy: what helps besides more space, such as "ask for fewer drawings".

    Raises:
        NoSpaceError: if `needed` and a small reserve are not free, or nothing can be written.
    """
    folder = next(parent for parent in (place, *place.absolute().parents) if parent.is_dir())
    if not os.access(folder, os.W_OK):
        raise NoSpaceError(f"{place}: {folder} cannot be written to; make it writable")
    free = shutil.disk_usage(folder).free
    if max(0, needed) + RESERVE > free:
        raise NoSpaceError(
            f"{place}: {amount(max(0, needed) + RESERVE)} are needed and {amount(free)} are free "
            f"in {folder}; make room, or {remedy}"
        )


def amount(size: int) -> str:
    """Format a number of bytes in MB or GB."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


@contextlib.contextmanager
def naming(place: Path, kept: str = UNTOUCHED) -> Iterator[None]:
    """Turn the error of a disk that becomes full in this block into one that names `place`.

    Raises:
        NoSpaceError: instead of the library's own error.
    """
    try:
        yield
    except Exception as error:
        reason = _ran_out(error)
        if reason is None:
            raise
        raise NoSpaceError(_message(str(place), reason, kept)) from error


def explained(error: BaseException) -> str | None:
    """Describe an error for lack of disk, memory or permissions; None for any other error."""
    if isinstance(error, NoSpaceError):
        return str(error)
    reason = _ran_out(error)
    if reason is not None:
        place = error.filename if isinstance(error, OSError) else None
        return _message(str(place or Path.cwd()), reason, "nothing half-made was kept")
    if isinstance(error, OSError) and error.errno in REFUSED and error.filename is not None:
        return f"{error.filename}: {error.strerror}; put that right and run this again"
    # TensorFlow's own class, by name: it is not imported for the sake of an error.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        first = str(error).partition("\n")[0]
        return (
            f"out of memory{f' ({first})' if first else ''}; end other programs, or lower the "
            "stage's batch_size or records.shard_mebibytes; nothing half-made was kept"
        )
    return None


def _message(place: str, reason: str, kept: str) -> str:
    remedy = "raise the limit on file sizes (ulimit -f)" if reason == _TOO_LARGE else "make room"
    return f"{place}: {reason} while it was written; {remedy} and run this again; {kept}"


def _ran_out(error: BaseException) -> str | None:
    """The system's words for a full disk, which h5py and TensorFlow hide in messages; else None."""
    if isinstance(error, InputError | NoSpaceError):
        return None  # they say what they mean
    for code in FULL:
        words = os.strerror(code)
        if (isinstance(error, OSError) and error.errno == code) or words in str(error):
            return words
    return None


_TOO_LARGE = os.strerror(errno.EFBIG)
