"""Damage: every byte of a shard, every value of the manifests of all three folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from quickspine.dataset.prepare import subset
from quickspine.dataset.records import write
from quickspine.dataset.records.reader import RecordSet, open_records
from quickspine.errors import InputError
from quickspine.params import SPLITS, Params
from quickspine.params import Records as RecordsParams
from tests.unit.dataset.conftest import MakeSubset, random_drawings, refusal

CATEGORIES = ("zigzag", "cat", "fish")
SIDE = 4
MakeParams = Callable[[dict[str, Any]], Params]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tiny(make_params: MakeParams) -> Params:
    chosen = {"data.categories": CATEGORIES, "data.drawings_per_category": 30}
    return make_params(chosen)


SMALL = RecordsParams(shard_mebibytes=0.0004, seed=1)
SHARES = {"split.train": 0.5, "split.validation": 0.3, "split.test": 0.2}


def recorded(make_subset: MakeSubset, seed: int) -> Path:
    """A folder with raw, subset and records, of as many drawings, sizes and names."""
    drawings = {name: random_drawings(30, SIDE, seed=seed + len(name)) for name in CATEGORIES}
    data = make_subset(drawings, **SHARES)
    write.write(SMALL, data / "raw", data / "subset", data / "records")
    return data


@pytest.fixture(scope="module")
def data(make_subset: MakeSubset) -> Path:
    return recorded(make_subset, 0)


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(data / "records", tmp_path / "records"))


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def smallest(folder: Path) -> Path:
    """The smallest shard of several records."""
    large = (path for path in sorted(folder.glob("*.tfrecord")) if path.stat().st_size > 120)
    return min(large, key=lambda path: path.stat().st_size)


def flips(content: bytes) -> Iterator[bytes]:
    """Every byte in turn, and every bit of a byte as often as any other."""
    for place, byte in enumerate(content):
        yield content[:place] + bytes([byte ^ 1 << place % 8]) + content[place + 1 :]


def everything(found: RecordSet) -> list[tuple[bytes, int]]:
    return [
        (image.tobytes(), int(label))
        for split in SPLITS
        for images, labels in found.ordered(split, 64)
        for image, label in zip(images.numpy(), labels.numpy(), strict=True)
    ]


def read(found: RecordSet, path: Path, way: str = "ordered") -> None:
    """Read the split of a shard as the stages do."""
    split = path.name.partition("-")[0]
    with found.reading():
        ordered = way == "ordered"
        data = found.ordered(split, 1) if ordered else found.shuffled(split, 1, seed=1, epoch=0)
        for _ in data:
            pass


def test_every_byte_of_a_shard_counts(folder: Path) -> None:
    path = smallest(folder)
    content = path.read_bytes()
    assert 120 < len(content) < 2000
    for damaged in flips(content):
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            open_records(folder)
        assert str(caught.value).startswith(f"{path}: not the shard of ")
        assert "its sha256 is another" in str(caught.value)
        assert str(caught.value).endswith("run: dvc repro -f tfrecords")


@pytest.mark.parametrize("way", ["ordered", "shuffled"])
@pytest.mark.parametrize("what", ["flipped", "truncated", "empty", "gone"])
def test_a_shard_that_changes_after_opening_is_named(folder: Path, way: str, what: str) -> None:
    """By TFRecord's own checksums, or as there are fewer batches than there should be."""
    found = open_records(folder)
    path = smallest(folder)
    content = path.read_bytes()
    read(found, path, way)
    path.unlink()
    if what != "gone":
        flipped = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]
        changed = {"flipped": flipped, "truncated": content[:-1], "empty": b""}
        path.write_bytes(changed[what])
    message = refusal(lambda: read(found, path, way))
    assert message is not None
    assert message.startswith(f"{path}: not the shard of ")
    assert message.endswith("run: dvc repro -f tfrecords")
    path.write_bytes(content)
    read(found, path, way)


def test_a_shard_of_another_length_or_that_is_no_file_is_named(folder: Path) -> None:
    path = smallest(folder)
    content = path.read_bytes()
    for make in (
        lambda: path.write_bytes(content[:-1]),
        lambda: path.write_bytes(content + b"\0"),
        path.touch,
        path.mkdir,
        lambda: path.symlink_to(folder / "elsewhere"),
        lambda: path.symlink_to(path),
        lambda: None,
    ):
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        make()
        with pytest.raises(InputError, match=rf"{path.name}: not the shard of"):
            open_records(folder)


def test_a_link_to_the_right_bytes_is_as_good_as_the_bytes(folder: Path, tmp_path: Path) -> None:
    """DVC may link its cache instead of copying it."""
    before = everything(open_records(folder))
    path = smallest(folder)
    path.rename(tmp_path / "cached")
    path.symlink_to(tmp_path / "cached")
    assert everything(open_records(folder)) == before


def test_shards_and_manifests_of_two_data_sets_do_not_mix(
    folder: Path, make_subset: MakeSubset
) -> None:
    path, other = smallest(folder), recorded(make_subset, 99) / "records"
    shutil.copy(sorted(other.glob(f"{path.name.partition('-')[0]}-*"))[0], path)
    with pytest.raises(InputError, match=rf"{path.name}: not the shard of"):
        open_records(folder)
    shutil.copy(other / "manifest.json", folder / "manifest.json")
    with pytest.raises(InputError, match=r"\.tfrecord: not the shard of"):
        open_records(folder)


def test_what_is_no_fault_of_the_shards_stays_what_it_is(folder: Path) -> None:
    found = open_records(folder)
    for error in (ZeroDivisionError("ours"), tf.errors.InvalidArgumentError(None, None, "ours")):
        with pytest.raises(type(error), match="ours"), found.reading():
            raise error


def test_records_of_other_drawings_than_the_params_are_not_trained_on(
    folder: Path, tiny: Params, make_params: MakeParams
) -> None:
    assert open_records(folder, tiny.data).categories == list(CATEGORIES)
    for change, message in (
        ({"data.categories": ("zigzag", "cat", "apple")}, "'apple', 'fish'"),
        ({"data.categories": ("zigzag", "cat")}, "'fish'"),
        ({"data.categories": ("cat", "zigzag", "fish")}, "another order"),
        ({"data.source": "quickdraw", "data.categories": CATEGORIES}, "the source 'doodles'"),
    ):
        with pytest.raises(InputError, match=f"{folder}: .*{message}.*; run: dvc repro"):
            open_records(folder, make_params(change).data)


@pytest.mark.parametrize("kind", ["subset", "records"])
def test_any_edit_of_a_manifest_with_a_digest_is_refused(
    data: Path, tiny: Params, tmp_path: Path, kind: str
) -> None:
    """Of each of its values: changed, or gone; and one more."""
    place = Path(shutil.copytree(data / kind, tmp_path / kind))
    whole = manifest_of(place)
    edits = [{**whole, key: [value]} for key, value in whole.items()]
    edits += [{k: v for k, v in whole.items() if k != key} for key in whole]
    for edited in [*edits, {**whole, "more": 1}]:
        (place / "manifest.json").write_text(json.dumps(edited))
        with pytest.raises(InputError, match=r"manifest\.json: damaged or edited"):
            opened(kind, place, tiny, data / "raw")
    assert not (place / "made").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        bytes(range(256)),
        b"[" * 100_000,
        b'{"digest": ' + b"9" * 10_000 + b"}",
        b'{"a": 1}',
    ],
)
@pytest.mark.parametrize("kind", ["raw", "subset", "records"])
def test_a_manifest_that_is_no_manifest_is_named(
    tmp_path: Path, tiny: Params, kind: str, content: bytes
) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        opened(kind, tmp_path, tiny)
    assert str(caught.value).startswith(f"{tmp_path / 'manifest.json'}: ")
    assert len(str(caught.value)) < 1500


def opened(kind: str, folder: Path, tiny: Params, raw: Path = Path("raw")) -> object:
    place = folder / "made"
    if kind == "raw":
        return subset.preprocess(tiny, folder, place)
    if kind == "subset":
        return write.write(tiny.records, raw, folder, place)
    return open_records(folder)


@pytest.mark.parametrize("kind", ["raw", "subset", "records"])
@pytest.mark.parametrize("what", ["folder", "pipe", "loop", "huge"])
def test_a_manifest_that_is_no_file_or_too_large_is_named_at_once(
    tmp_path: Path, tiny: Params, kind: str, what: str
) -> None:
    path = tmp_path / "manifest.json"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "loop":
        path.symlink_to(path)
    else:
        with path.open("wb") as file:
            file.truncate(10 << 30)  # ten GiB that take no room on disk, and would in memory
    with pytest.raises(InputError, match=r"manifest\.json: "):
        opened(kind, tmp_path, tiny)


DOORS = ("train", "finetune", "evaluate")


@pytest.mark.parametrize("door", DOORS)
def test_the_real_door_refuses_a_damaged_shard_before_tensorflow(
    folder: Path, tmp_path: Path, door: str
) -> None:
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    text = (ROOT / "params.yaml").read_text()
    start, rest = text.split("  categories:", 1)
    rest = rest[rest.index("  drawings_per_category") :]
    (project / "params.yaml").write_text(f"{start}  categories: {json.dumps(CATEGORIES)}\n{rest}")
    folder.rename(project / "data/records")
    path = smallest(project / "data/records")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    code = (
        "import atexit, runpy, sys; "
        "atexit.register(lambda: print('tensorflow' in sys.modules)); "
        f"runpy.run_module('pipeline.{door}', run_name='__main__', alter_sys=True)"
    )
    more = [] if door == "evaluate" else ["--head", "spinal", "--seed", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *more],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "False\n"), done.stderr
    name = door if door == "evaluate" else f"{door}-spinal-1"
    assert done.stderr.startswith(f"{name}: data/records/{path.name}: not the shard of ")
    assert done.stderr.count("\n") == 1
    # No model, no run, no evaluation: only the lock that it held.
    left = {str(found.relative_to(project)) for found in project.rglob("*") if found.is_file()}
    assert {name for name in left if not name.startswith("data/")} == {
        "params.yaml",
        f".quickspine/locks/{name}.lock",
    }
