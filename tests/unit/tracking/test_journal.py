"""What is written first: whole entries, whatever happens to the disk, the file or the process."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.files import sha256
from quickspine.tracking.journal import Journal
from quickspine.tracking.owner import identity
from quickspine.tracking.pending import BusyError, claimed, pending, sweep_partial


def begin(root: Path, name: str = "train") -> Journal:
    return Journal(root, {"name": name, "run": True, "owner": identity()})


def steps(folder: Path) -> list[int]:
    with claimed(folder) as journal:
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
    (found,) = pending(tmp_path)
    assert (found.name, found.id, found.ended) == ("train", journal.id, False)
    assert not found.left_by_its_process()  # this process lives
    journal.append("end", status="FINISHED")
    assert journal.close()
    assert pending(tmp_path)[0].left_by_its_process()


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
    with claimed(journal.folder) as torn:
        entries = torn.read()
    assert len(entries) == kept.count(b"\n")
    assert entries == [json.loads(line) for line in lines.splitlines()][: len(entries)]
    assert len(pending(root)) == 1  # named, whatever is left of it
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
    assert journal.close()


def test_a_journal_tells_that_it_is_not_whole(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    with no_file_larger_than(10), pytest.raises(OSError, match="large"):
        journal.append("end", status="FINISHED")
    assert not journal.close()


def test_no_journal_is_half_made(tmp_path: Path) -> None:
    with no_file_larger_than(10), pytest.raises(OSError, match="large"):
        begin(tmp_path)
    assert list((tmp_path / "mlruns" / "pending").iterdir()) == []


@pytest.mark.parametrize("what", ["mlruns", "mlruns/pending", "the journal", "its file"])
def test_a_deleted_journal_is_written_anew_for_its_writer_and_its_reader(
    what: str, tmp_path: Path
) -> None:
    journal = begin(tmp_path)
    journal.append("metrics", step=0)
    with claimed(journal.folder) as reader:
        assert len(reader.read()) == 2
        if what == "its file":
            (journal.folder / "journal.jsonl").unlink()
        else:
            shutil.rmtree(journal.folder if what == "the journal" else tmp_path / what)
        assert reader.read() == []
        journal.append("metrics", step=1)
        assert [entry["step"] for entry in reader.read()] == [1]
        with pytest.raises(BusyError), claimed(journal.folder, wait_s=0):
            pass
    assert steps(journal.folder) == [0, 1]
    journal.append("metrics", step=2)
    assert steps(journal.folder) == [0, 1, 2]


def test_one_process_at_a_time_records_a_journal(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.append("end", status="FINISHED")
    (found,) = pending(tmp_path)
    assert not found.busy()
    with claimed(journal.folder) as claim:
        assert found.busy()
        claim.remove()
    assert pending(tmp_path) == []
    assert not (tmp_path / "mlruns" / "pending").exists()
    with pytest.raises(FileNotFoundError), claimed(journal.folder):
        pass


def test_what_is_kept_is_as_it_was(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    model, plots = tmp_path / "model.keras", tmp_path / "plots"
    model.write_bytes(b"weights")
    (plots / "more").mkdir(parents=True)
    (plots / "more" / "a.svg").write_text("<svg/>")
    linked, copied = journal.keep(model, link=True), journal.keep(plots)
    digest = sha256(model)
    assert linked["digests"] == {"": digest}
    assert copied["digests"] == {"more/a.svg": sha256(plots / "more" / "a.svg")}
    assert (journal.folder / linked["file"]).stat().st_ino == model.stat().st_ino  # no space
    (plots / "more" / "a.svg").write_text("changed")
    model.unlink()
    assert sha256(journal.folder / linked["file"]) == digest
    assert (journal.folder / copied["file"] / "more" / "a.svg").read_text() == "<svg/>"


def test_what_cannot_be_kept_leaves_nothing(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    with no_file_larger_than(50_000), pytest.raises(OSError, match="large"):
        journal.keep(tmp_path / "large")
    with pytest.raises(FileNotFoundError):
        journal.keep(tmp_path / "missing")
    assert not [p for p in journal.folder.rglob("*") if p.name in ("large", "missing")]


def test_a_damaged_journal_is_named_and_disturbs_no_other(tmp_path: Path) -> None:
    journal = begin(tmp_path, "good")
    damaged = begin(tmp_path)
    (damaged.folder / "journal.jsonl").write_bytes(b"\x00\xff\n[]\n")
    (tmp_path / "mlruns" / "pending" / "a file").write_text("")
    assert [p.name for p in pending(tmp_path)] == ["a damaged journal", "good"]
    assert pending(tmp_path)[1].id == journal.id


def test_only_what_was_abandoned_long_ago_is_swept(tmp_path: Path) -> None:
    place = tmp_path / "mlruns" / "pending"
    for name in (".partial-old", ".partial-new"):
        (place / name).mkdir(parents=True)
    os.utime(place / ".partial-old", (0, 0))
    sweep_partial(tmp_path)
    assert [p.name for p in place.iterdir()] == [".partial-new"]
