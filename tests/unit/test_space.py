"""Room on the disk: the check before, and the words after."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from quickspine import space
from quickspine.errors import InputError, NoSpaceError
from quickspine.files import whole_file, whole_folder
from quickspine.space import explained, naming, need_space

Usage = namedtuple("Usage", "total used free")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> list[Path]:
    """Make every disk have `size` bytes free; returns the folders that are asked about."""
    asked: list[Path] = []

    def usage(folder: Path) -> Usage:
        asked.append(folder)
        return Usage(10**12, 0, size)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return asked


def test_what_fits_with_the_reserve_passes_and_the_rest_is_named_with_sizes_and_remedies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = free(monkeypatch, 2_500_000 + space.RESERVE)
    monkeypatch.chdir(tmp_path)
    for needed in (2_500_000, -5):
        need_space(tmp_path, needed, "ask for less")
    with pytest.raises(NoSpaceError):
        need_space(tmp_path, 2_500_001, "ask for less")
    with pytest.raises(NoSpaceError) as got:
        need_space(tmp_path / "a" / "b", 3_912_000_000, "ask for fewer drawings")
    assert str(got.value) == (
        f"{tmp_path}/a/b: 3.9 GB are needed and 10.5 MB are free in {tmp_path}; make room, or "
        "ask for fewer drawings"
    )
    need_space(Path("data/raw"), 1, "")  # on the disk of its parents, until it is there
    Path("data").mkdir()
    need_space(Path("data/raw"), 1, "")
    assert [folder.resolve() for folder in asked] == [tmp_path] * 5 + [tmp_path / "data"]


def by_tensorflow(place: Path) -> None:
    import tensorflow as tf

    with naming(place), tf.io.TFRecordWriter(str(FULL)) as writer:
        writer.write(b"x" * 10_000)


def in_a_folder(place: Path) -> None:
    with whole_folder(place) as folder:
        (folder / "here").symlink_to(FULL)
        (folder / "here").write_bytes(b"x")


def in_a_file(place: Path) -> None:
    with whole_file(place) as partial:
        FULL.write_bytes(partial.name.encode())


@needs_full
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(by_tensorflow, marks=pytest.mark.slow),
        in_a_folder,
        in_a_file,
    ],
)
def test_a_full_disk_is_named_whoever_finds_out(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    place = tmp_path / "out"
    words = rf"^{place}: No space left on device while it was written; make room and run this again"
    with pytest.raises(NoSpaceError, match=words):
        write(place)
    assert list(tmp_path.iterdir()) == []


@needs_full
def test_a_file_in_a_half_made_folder_is_named_as_it_will_be_called(tmp_path: Path) -> None:
    def nested() -> None:
        with whole_folder(tmp_path / "out") as folder, whole_file(folder / "a.json"):
            FULL.write_bytes(b"x")

    with pytest.raises(NoSpaceError, match=rf"^{tmp_path}/out/a\.json: No space"):
        nested()
    assert list(tmp_path.iterdir()) == []


def test_other_faults_pass_unchanged(tmp_path: Path) -> None:
    for error in (
        PermissionError(errno.EACCES, "no"),
        InputError("x: No space left on device"),
        KeyError("y"),
    ):
        with pytest.raises(type(error)), whole_folder(tmp_path / "out"):
            raise error
        assert explained(error) is None


def test_what_is_told_of_each_fault() -> None:
    assert explained(NoSpaceError("as it is")) == "as it is"
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        told = explained(OSError(code, os.strerror(code), "mlruns/x"))
        assert told is not None
        assert told.startswith(f"mlruns/x: {os.strerror(code)} while it was written; ")
    hidden = OSError(
        "Can't write data (file write failed: error message = 'No space left on device')"
    )
    assert (explained(hidden) or "").startswith(f"{Path.cwd()}: No space left on device")
    assert (explained(MemoryError()) or "").startswith("out of memory; end other programs")
    kind = type("ResourceExhaustedError", (Exception,), {})  # TensorFlow's, known by its name
    oom = kind("OOM when allocating tensor\nmore")
    assert (explained(oom) or "").startswith("out of memory (OOM when allocating tensor); end")
