"""The journal: whole entries, whatever happens to the disk, the file or the process."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.tracking.journal import BusyError, Journal, claim, waiting


def begin(root: Path) -> Journal:
    tags = {"host": socket.gethostname(), "pid": "1"}
    return Journal(root, {"name": "train", "tags": tags})


def steps(folder: Path) -> list[int]:
    with claim(folder) as journal:
        return [entry["step"] for entry in journal.read() if entry["kind"] == "metrics"]


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A full disk, as far as this process can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_entries_are_there_at_once_and_in_order(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    for step in range(3):
        journal.append("metrics", step=step, values={"loss": float("nan")})
        assert steps(journal.folder) == list(range(step + 1))
    (found,) = waiting(tmp_path)
    assert (found.folder.name, found.name) == (journal.id, f"train ({journal.id[:8]})")
    assert (found.ended, found.is_written()) == (False, True)
    journal.append("end", status="FINISHED")
    assert not waiting(tmp_path)[0].is_abandoned()  # its process waits for its relay
    journal.close()
    assert waiting(tmp_path)[0].ended
    assert waiting(tmp_path)[0].is_abandoned()


@given(cut=st.integers(0, 10_000), text=st.text())
def test_a_journal_torn_anywhere_gives_the_entries_before(
    tmp_path_factory: pytest.TempPathFactory, cut: int, text: str
) -> None:
    root = tmp_path_factory.mktemp("torn")
    journal = begin(root)
    for step in range(4):
        journal.append("metrics", step=step, text=text)
    journal.close()
    file = journal.folder / "journal.jsonl"
    lines = file.read_bytes()
    kept = lines[: cut % (len(lines) + 1)]
    file.write_bytes(kept)
    with claim(journal.folder) as torn:
        entries = torn.read()
    assert len(entries) == kept.count(b"\n")
    assert entries == [json.loads(line) for line in lines.splitlines()][: len(entries)]
    assert len(waiting(root)) == 1  # named, whatever is left of it
    shutil.rmtree(root)


def test_a_full_disk_leaves_no_half_line_and_loses_nothing_once_there_is_room(
    tmp_path: Path,
) -> None:
    journal = begin(tmp_path)
    journal.append("metrics", step=0)
    size = (journal.folder / "journal.jsonl").stat().st_size
    with no_file_larger_than(size + 7):
        for step in (1, 2):
            with pytest.raises(OSError, match="large"):
                journal.append("metrics", step=step)
        assert steps(journal.folder) == [0]
        assert (journal.folder / "journal.jsonl").stat().st_size == size
    journal.append("metrics", step=3)
    assert steps(journal.folder) == [0, 1, 2, 3]
    with no_file_larger_than(10), pytest.raises(OSError, match="large"):
        journal.append("end", status="FINISHED")
    journal.close()
    shutil.rmtree(tmp_path / "mlruns")
    with no_file_larger_than(10), pytest.raises(OSError, match="large"):
        begin(tmp_path)
    assert list((tmp_path / "mlruns" / "pending").iterdir()) == []  # whole or not at all


def test_one_process_at_a_time_delivers_a_journal(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.append("end", status="FINISHED")
    journal.close()
    (found,) = waiting(tmp_path)
    with claim(journal.folder) as claimed:
        assert not found.is_abandoned()
        with pytest.raises(BusyError), claim(journal.folder, wait_s=0):
            pass
        claimed.remove()
    assert waiting(tmp_path) == []
    assert not (tmp_path / "mlruns" / "pending").exists()
    with pytest.raises(FileNotFoundError), claim(journal.folder):
        pass


def test_what_is_kept_is_as_it_was(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    model, plots = tmp_path / "model.keras", tmp_path / "plots"
    model.write_bytes(b"weights")
    (plots / "more").mkdir(parents=True)
    (plots / "more" / "a.svg").write_text("<svg/>")
    linked, copied = journal.keep(model, link=True), journal.keep(plots)
    assert (journal.folder / linked).stat().st_ino == model.stat().st_ino  # no space
    (plots / "more" / "a.svg").write_text("changed")
    model.unlink()
    assert (journal.folder / linked).read_bytes() == b"weights"
    assert (journal.folder / copied / "more" / "a.svg").read_text() == "<svg/>"
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    with no_file_larger_than(50_000), pytest.raises(OSError, match="large"):
        journal.keep(tmp_path / "large")
    with pytest.raises(FileNotFoundError):
        journal.keep(tmp_path / "missing")
    assert not [p for p in journal.folder.rglob("*") if p.name in ("large", "missing")]
    journal.close()
