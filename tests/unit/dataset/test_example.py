"""What stands around a drawing's pixels is protobuf's own, for any size, and understood."""

from __future__ import annotations

import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from quickspine.dataset.records.example import around
from tests.unit.dataset import reference

LABELS = [0, 1, 23, 127, 128, 255, 256, 344, 16_383, 16_384, 2**31]


def written(pixels: bytes, label: int) -> bytes:
    before, behind = around(label, len(pixels))
    return before + pixels + behind


@pytest.mark.parametrize("side", [1, 2, 8, 11, 16, 28, 32])
@pytest.mark.parametrize("label", LABELS)
def test_for_all_kinds_of_labels(side: int, label: int) -> None:
    drawing = bytes(side * side)
    assert written(drawing, label) == reference.example(drawing, label)


@given(st.binary(min_size=4, max_size=4), st.integers(0, 400))
@example(b"\xff\xff\xff\xff", 255)
def test_for_any_pixels_and_label(pixels: bytes, label: int) -> None:
    assert written(pixels, label) == reference.example(pixels, label)


@given(st.integers(0, 3_000_000), st.integers(0, 2**63 - 1))
@example(0, 0)
@example(1 << 21, 127)
def test_for_any_size(pixels: int, label: int) -> None:
    assert written(bytes(pixels), label) == reference.example(bytes(pixels), label)


def test_other_readers_understand_them() -> None:
    found = tf.train.Example.FromString(written(b"\x01\x02\x03\xff", 7))
    assert found.features.feature["image"].bytes_list.value[:] == [b"\x01\x02\x03\xff"]
    assert found.features.feature["label"].int64_list.value[:] == [7]
