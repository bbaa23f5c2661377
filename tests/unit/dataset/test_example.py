"""Drawings as tf.train.Examples: the quick bytes are protobuf's own, and come back."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from quickspine.dataset.example import Serialiser, around
from tests.unit.dataset.conftest import random_drawings


def serialise(image: bytes, label: int) -> bytes:
    """What protobuf makes of a drawing."""
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString(deterministic=True))


LABELS = [0, 1, 23, 127, 128, 255, 256, 344, 16_383, 16_384, 2**31]


@pytest.mark.parametrize("side", [1, 2, 8, 11, 16, 28, 32])
def test_the_quick_bytes_are_those_of_protobuf(side: int) -> None:
    quick = Serialiser(side * side)
    extremes = np.array([[0] * side**2, [255] * side**2], np.uint8)
    for label in LABELS:
        for drawing in [*random_drawings(3, side, seed=label), *extremes]:
            assert quick(drawing, label) == serialise(drawing.tobytes(), label)


@given(st.binary(min_size=4, max_size=4), st.integers(0, 400))
@example(b"\xff\xff\xff\xff", 255)
def test_for_any_pixels_and_label(pixels: bytes, label: int) -> None:
    assert Serialiser(4)(np.frombuffer(pixels, np.uint8), label) == serialise(pixels, label)


@given(st.integers(0, 3_000_000), st.integers(0, 2**63 - 1))
@example(0, 0)
@example(1 << 21, 127)
def test_what_stands_around_the_pixels_is_protobuf_s_for_any_size(pixels: int, label: int) -> None:
    before, behind = around(label, pixels)
    assert before + bytes(pixels) + behind == serialise(bytes(pixels), label)


def test_other_readers_understand_them() -> None:
    found = tf.train.Example.FromString(Serialiser(4)(np.array([1, 2, 3, 255], np.uint8), 7))
    assert found.features.feature["image"].bytes_list.value[:] == [b"\x01\x02\x03\xff"]
    assert found.features.feature["label"].int64_list.value[:] == [7]
