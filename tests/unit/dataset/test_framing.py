"""Records put together as arrays are TensorFlow's own, to the byte."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from quickspine.dataset.records.framing import framed, record_bytes
from quickspine.dataset.records.layout import HEAD, TAIL
from tests.unit.dataset.conftest import random_drawings
from tests.unit.dataset.reference import example

LABELS = st.one_of(st.integers(0, 400), st.integers(0, 2**32 - 1))


@given(
    labels=st.lists(LABELS, min_size=1, max_size=30),
    side=st.integers(1, 40),
    wide=st.sampled_from([np.uint32, np.uint64]),
)
def test_records_are_those_of_tensorflow(
    labels: list[int], side: int, wide: type[np.unsignedinteger]
) -> None:
    drawings = random_drawings(len(labels), side)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "records")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for drawing, label in zip(drawings, labels, strict=True):
                writer.write(example(drawing.tobytes(), label))
        expected = path.read_bytes()
    assert bytes(framed(drawings, np.array(labels, wide))) == expected
    assert sum(record_bytes(side * side, label) for label in labels) == len(expected)


@pytest.mark.parametrize("label", [0, 127, 128, 16_383, 16_384])
def test_the_length_of_a_record(label: int) -> None:
    assert record_bytes(784, label) == len(example(bytes(784), label)) + HEAD.size + TAIL
