"""Memory does not grow with the number of drawings; 5 million of them fit in 2 GiB.

The run of 5 million takes minutes and 12 GB of disk: QUICKSPINE_SCALE=1 asks for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from quickspine import categories
from quickspine.files import sha256
from quickspine.params import load
from quickspine.sources.storage import npy
from tests.mirror_server import MirrorServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30
LINUX = Path("/proc/self/status").exists()
needs_linux = pytest.mark.skipif(not LINUX, reason="VmHWM and RLIMIT_AS are Linux's")
needs_time = pytest.mark.skipif(
    not os.environ.get("QUICKSPINE_SCALE"), reason="QUICKSPINE_SCALE=1 asks for minutes of it"
)

# Runs a stage once for each folder, in one process, and prints the highest memory it ever had
# after each: not what the parent had before, as getrusage would.
STAGES_UNDER_A_LIMIT = """
import os, resource, runpy, sys
from pathlib import Path
limit, size, stage, *folders = sys.argv[1:]
if limit != "none":
    resource.setrlimit(getattr(resource, limit), (int(size), int(size)))
for folder in folders:
    os.chdir(folder)
    sys.argv[:] = [stage]
    runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)
    status = Path("/proc/self/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in status if ":" in line)
    print("peak", *(1024 * int(values[name].split()[0]) for name in ("VmHWM", "VmPeak")))
"""


def run(stage: str, *folders: Path, limit: str = "none", size: int = 0) -> list[tuple[int, int]]:
    """Bytes at most until the end of each run: resident, and of address space."""
    paths = [str(ROOT), str(ROOT / "src")]
    done = subprocess.run(
        [sys.executable, "-c", STAGES_UNDER_A_LIMIT, limit, str(size), stage, *map(str, folders)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("peak ")]
    return [(int(resident), int(space)) for resident, space in lines]


def project(folder: Path, rows: Mapping[str, int], mirror: str = "") -> Path:
    """A folder with params, and a mirror of random drawings, no two of them equal."""
    place = folder / "mirror" / "numpy_bitmap"
    place.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, count in rows.items():
        with (place / f"{name}.npy").open("wb") as file:
            file.write(npy.header(count))
            for start in range(0, count, 10_000):
                file.write(random.bytes(min(10_000, count - start) * npy.ROW))
    values = load(ROOT / "params.yaml").model_dump(mode="json")
    values["data"] |= {"source": "quickdraw", "categories": list(rows), "allow_fewer": True}
    values["data"] |= {"drawings_per_category": max(rows.values())}
    values["data"] |= {"mirror": mirror or place.as_uri()}
    values["records"]["shard_mebibytes"] = 4
    (folder / "params.yaml").write_text(json.dumps(values))  # YAML too
    shutil.copy(ROOT / "dvc.yaml", folder)
    return folder


@needs_linux
def test_memory_does_not_grow_with_the_number_of_drawings(tmp_path: Path) -> None:
    """Twice the drawings, 188 MB more of them, one process after another for each stage.

    Both fill the room that tfrecords has for the images of a few shards.
    """
    counts = {"few": 100_000, "many": 220_000}
    few, many = (
        project(tmp_path / name, {"cat": count, "zigzag": count}) for name, count in counts.items()
    )
    more = 2 * 120_000 * npy.ROW
    for stage in ("fetch", "preprocess", "tfrecords"):
        (before, _), (after, _) = run(stage, few, many)
        assert after - before < more / 4, (stage, before, after)


@needs_linux
def test_the_memory_of_a_download_does_not_grow(tmp_path: Path) -> None:
    with MirrorServer(tmp_path / "mirror") as server:
        place = f"{server.url}/numpy_bitmap"
        project(tmp_path, {"cat": 100_000, "zigzag": 100_000})
        folders = []
        for count in (25_000, 100_000):
            folders.append(project(tmp_path / str(count), {"cat": 1, "zigzag": 1}, place))
            values = json.loads((folders[-1] / "params.yaml").read_text())
            values["data"] |= {"drawings_per_category": count}
            (folders[-1] / "params.yaml").write_text(json.dumps(values))
        (before, _), (after, _) = run("fetch", *folders)
    assert (folders[1] / "data/raw/cat.npy").stat().st_size == 128 + 100_000 * npy.ROW
    assert after - before < 2 * 75_000 * npy.ROW / 4, (before, after)


@needs_linux
def test_a_category_larger_than_the_address_space_is_read(tmp_path: Path) -> None:
    """1.3 GB of one category, sparse on the disk, in 1 GiB: it is read, not mapped."""
    rows, chosen = 1_600_000, 1_000
    folder = project(tmp_path / "project", {"cat": chosen, "zigzag": chosen})
    large = folder / "mirror/numpy_bitmap/cat.npy"
    with large.open("r+b") as file:
        file.write(npy.header(rows))
        file.truncate(128 + rows * npy.ROW)
    assert large.stat().st_size > GIB
    run("fetch", folder, limit="RLIMIT_AS", size=GIB)
    raw = folder / "data/raw"
    manifest = json.loads((raw / "manifest.json").read_text())
    assert [entry["rows"] for entry in manifest["categories"]] == [chosen, chosen]
    (raw / "cat.npy").unlink()  # as if all had been asked for
    large.rename(raw / "cat.npy")
    manifest["categories"][0] |= {"rows": rows, "sha256": sha256(raw / "cat.npy")}
    (raw / "manifest.json").write_text(json.dumps(manifest))
    run("preprocess", folder, limit="RLIMIT_AS", size=GIB)
    manifest = json.loads((folder / "data/subset/manifest.json").read_text())
    assert manifest["chosen"] == 2 * chosen


@needs_linux
@needs_time
@pytest.mark.parametrize("shape", ["24 categories", "one category"])
def test_five_million_drawings_fit_in_two_gibibytes(tmp_path: Path, shape: str) -> None:
    """Even in 2 GiB of address space."""
    if shape == "24 categories":
        rows = dict.fromkeys(categories.DOODLES, 5_000_000 // 24 + 1)
    else:
        rows = {"cat": 4_999_000, "zigzag": 1_000}
    folder = project(tmp_path / "project", rows)
    for stage in ("fetch", "preprocess", "tfrecords"):
        ((resident, space),) = run(stage, folder, limit="RLIMIT_AS", size=2 * GIB)
        print(f"{shape}: {stage} {resident / 1e6:,.0f} MB resident, {space / 1e6:,.0f} MB mapped")
        assert resident < 2 * GIB
        shutil.rmtree(folder / "mirror", ignore_errors=True)
    manifest = json.loads((folder / "data/records/manifest.json").read_text())
    assert sum(split["examples"] for split in manifest["splits"].values()) == sum(rows.values())
    shutil.rmtree(folder)
