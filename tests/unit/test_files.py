"""Whole or not at all: with exceptions, with SIGKILL, with several processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine import files
from quickspine.errors import InputError
from quickspine.files import digest, lock, read_json, whole_file, whole_folder, write_json

Whole = Callable[[Path], contextlib.AbstractContextManager[Path]]
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a Python program in the test's folder; waits until it prints a line."""
    running: list[subprocess.Popen[str]] = []

    def begin(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from quickspine.files import *\n{code}"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert read(process.stdout) == "ready\n"
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def read(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def filled(place: Path, text: str = "old") -> Path:
    with whole_folder(place) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text(text)
    return place


def content(place: Path) -> str:
    return (place / "inner" / "file").read_text()


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with whole_folder(place) as folder:
        (folder / "first").write_text("1")
        assert not place.exists()
        assert folder.parent == place.parent  # renaming across file systems would copy
    with whole_folder(place) as folder:
        assert names(folder) == []
        (folder / "second").write_text("2")
        assert names(place) == ["first"]
    assert names(place) == ["second"]
    assert names(place.parent) == ["b"]


@pytest.mark.parametrize("interrupted", [1, 2, None])
def test_an_interrupt_at_any_rename_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: int | None
) -> None:
    place = filled(tmp_path / "a")
    renames = 0
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames == interrupted:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with contextlib.suppress(KeyboardInterrupt), whole_folder(place) as folder:
        (folder / "new").write_text("new")
        if interrupted is None:
            raise KeyboardInterrupt
    assert content(place) == "old"
    assert names(tmp_path) == ["a"]


def test_a_file_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b.json"
    for text in ("old", "new"):
        before = place.read_text() if place.exists() else None
        with whole_file(place) as partial:
            partial.write_text(text)
            assert (place.read_text() if place.exists() else None) == before
        assert place.read_text() == text
    with contextlib.suppress(KeyboardInterrupt), whole_file(place) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert place.read_text() == "new"
    with pytest.raises(FileNotFoundError), whole_file(place):
        pass  # nothing was written: nothing is replaced
    assert place.read_text() == "new"
    assert names(place.parent) == ["b.json"]


@pytest.mark.parametrize("whole", ["whole_folder", "whole_file"])
def test_what_a_killed_writer_left_is_swept_by_the_next(
    tmp_path: Path, start: Start, whole: str
) -> None:
    place = tmp_path / "a"
    old = filled(place, "old") / "inner" / "file" if whole == "whole_folder" else place
    old.write_text("old")
    killed = start(
        f"with {whole}(Path('a')) as partial:\n"
        "    (partial / 'b' if partial.is_dir() else partial).write_text('half')\n"
        "    print('ready', flush=True); time.sleep(60)"
    )
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert old.read_text() == "old"
    assert names(tmp_path) == [f".partial-a-{killed.pid}", "a"]
    with getattr(files, whole)(place) as partial:
        (partial / "b" if partial.is_dir() else partial).write_text("new")
    assert names(tmp_path) == ["a"]
    assert (place / "b" if place.is_dir() else place).read_text() == "new"


@pytest.mark.parametrize("half_replaced", [True, False])
def test_what_was_there_before_a_kill_between_the_renames_comes_back(
    tmp_path: Path, half_replaced: bool
) -> None:
    place = filled(tmp_path / "a", "there")
    if half_replaced:  # killed before the second rename
        place.rename(tmp_path / ".partial-a-old")
        (tmp_path / ".partial-a-12").mkdir()  # what was to follow
    else:  # killed after it, before the removal
        (tmp_path / ".partial-a-old").mkdir()
    with pytest.raises(ZeroDivisionError), whole_folder(place):
        raise ZeroDivisionError
    assert content(place) == "there"
    assert names(tmp_path) == ["a"]


def test_only_leftovers_of_the_same_place_are_swept(tmp_path: Path) -> None:
    others = [".partial-a-b-12", ".partial-ab-12", ".partial-a", ".partial-a-12x", "a-12"]
    others += [".partial-[ab]-3", ".partial-a-old-12"]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / ".partial-a-12").mkdir()
    (tmp_path / ".partial-a-old").mkdir()
    (tmp_path / ".partial-a-13").write_text("a file")
    (tmp_path / ".partial-a-14").symlink_to(tmp_path / "a-12")
    filled(tmp_path / "a")
    assert names(tmp_path) == sorted([*others, "a"])
    filled(tmp_path / "[ab]")
    assert names(tmp_path) == sorted([*others[:5], others[6], "a", "[ab]"])


def test_a_link_to_another_disk_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    filled(tmp_path / "large" / "a", "old")
    (tmp_path / "a").symlink_to(tmp_path / "large" / "a")
    assert content(filled(tmp_path / "a", "new")) == "new"
    assert (tmp_path / "a").is_symlink()
    assert names(tmp_path / "large") == ["a"]
    assert names(tmp_path) == ["a", "large"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_the_digest_knows_no_order_of_keys(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert digest(value) == digest(turned) == digest(json.loads(json.dumps(value)))
    assert digest({**value, "one more": 1}) != digest(value) or "one more" in value
    expected = hashlib.sha256(b'{"a":null,"b":[1,"\\u00e4"]}').hexdigest()
    assert digest({"b": [1, "ä"], "a": None}) == expected


def test_json_comes_back_and_repeats_its_bytes(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "a.json"
    value = {"b": 1.5, "a": ["ü", None, True], "nested": {"c": 2**70}}
    write_json(place, value)
    first = place.read_bytes()
    assert read_json(place, "fetch") == value
    assert first.endswith(b"}\n")
    write_json(place, value)
    assert place.read_bytes() == first
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(place, {"a": float("nan")})
    assert place.read_bytes() == first
    assert names(place.parent) == ["a.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"3", b"\xff\xfe", b'{"a": 1}garbage', b"[" * 200_000, b'{"a":' * 99_999],
)
def test_damaged_json_names_the_file_and_the_stage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: .*run: dvc repro -f fetch"):
        read_json(tmp_path / "a.json", "fetch")
    with pytest.raises(InputError, match=r"b\.json: missing; run: dvc repro fetch"):
        read_json(tmp_path / "b.json", "fetch")


HOLD = "with lock('train', 9):\n    print('ready', flush=True); input()"


def test_a_lock_excludes_another_process_and_names_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: Start,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    holder = start(HOLD)
    with (
        pytest.raises(InputError, match=f"train: still held by process {holder.pid} "),
        lock("train", wait_s=0.1),
    ):
        pytest.fail("two hold one lock")
    assert f"train: waiting for process {holder.pid} (since " in capsys.readouterr().err
    Path(".quickspine/locks/train.holder").unlink()  # it lets go, or has not written its name yet
    with pytest.raises(InputError, match="held by another process after"), lock("train", wait_s=0):
        pytest.fail("two hold one lock")
    capsys.readouterr()
    with lock("evaluate", wait_s=0):  # another name, another lock
        pass
    holder.communicate("\n")
    with lock("train", wait_s=0):
        assert f"process {os.getpid()} " in Path(".quickspine/locks/train.holder").read_text()
    assert not Path(".quickspine/locks/train.holder").exists()
    assert capsys.readouterr().err == ""


def test_a_lock_is_freed_when_its_holder_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    monkeypatch.chdir(tmp_path)
    holder = start(HOLD)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    begin = time.monotonic()
    with lock("train", wait_s=30):
        assert f"process {os.getpid()} " in Path(".quickspine/locks/train.holder").read_text()
    assert time.monotonic() - begin < 20


def test_processes_in_turn_never_overlap_and_always_stand_named(
    tmp_path: Path, start: Start
) -> None:
    (tmp_path / "count").write_text("0")
    processes = [
        start(
            "print('ready', flush=True); input()\n"
            "for _ in range(40):\n"
            "    with lock('train', 60):\n"
            "        count = int(Path('count').read_text())\n"
            "        note = Path('.quickspine/locks/train.holder')\n"
            "        assert f'process {os.getpid()} ' in note.read_text()\n"
            "        time.sleep(0.001)\n"
            "        assert f'process {os.getpid()} ' in note.read_text()\n"
            "        Path('count').write_text(str(count + 1))\n"
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        assert process.wait(timeout=60) == 0, process.communicate()[1]
    assert (tmp_path / "count").read_text() == "120"
