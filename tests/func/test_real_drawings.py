"""The pipeline on Google's drawings, from a local HTTP server, where there are some."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.func.project import new
from tests.mirror_server import MirrorServer

pytestmark = pytest.mark.slow

MIRROR = os.environ.get("QUICKDRAW_MIRROR")
CATEGORIES = ["The Mona Lisa", "airplane", "coffee cup", "t-shirt"]
ROWS = 300

needs_drawings = pytest.mark.skipif(
    MIRROR is None, reason="set QUICKDRAW_MIRROR to a folder of Google's <category>.npy files"
)


@needs_drawings
@pytest.mark.parametrize("ranges", [True, False])
def test_fetch_takes_what_it_needs(tmp_path: Path, *, ranges: bool) -> None:
    with MirrorServer(Path(str(MIRROR)), ranges=ranges) as server:
        changes = {
            "data.source": "quickdraw",
            "data.mirror": server.url,
            "data.categories": CATEGORIES,
            "data.drawings_per_category": ROWS,
        }
        project = new(tmp_path / "project", changes)
        project.run("python", "-m", "pipeline.fetch")
        sent = server.bytes_sent
    manifest = project.json("data/raw/manifest.json")
    assert manifest["licence"] == "CC BY 4.0"
    assert not manifest["synthetic"]
    assert [entry["rows"] for entry in manifest["categories"]] == [ROWS] * 4
    if ranges:
        assert sent < len(CATEGORIES) * (ROWS * 784 + 400)
    for category in CATEGORIES:
        theirs = (Path(str(MIRROR)) / f"{category}.npy").read_bytes()
        ours = (project.path / "data/raw" / f"{category}.npy").read_bytes()
        assert ours[-ROWS * 784 :] == theirs[80 : 80 + ROWS * 784]
