"""Records packed in one pass are those that are put together field by field."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quickspine import compiled
from quickspine.dataset.records import packing
from quickspine.dataset.records.framing import framed

needs_crc = pytest.mark.skipif(not packing.can_pack(), reason="no instruction for CRC-32C")


@needs_crc
@settings(max_examples=40, deadline=None)  # each new size is compiled: a fiftieth of a second
@given(
    count=st.integers(0, 60),
    pixels=st.one_of(st.integers(1, 40), st.just(784)),
    categories=st.sampled_from([2, 127, 128, 129, 345, 16_384, 16_385, 100_000]),
    seed=st.integers(0, 999),
)
@example(count=9, pixels=784, categories=345, seed=0)
def test_the_bytes_are_those_of_framing(
    count: int, pixels: int, categories: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    rows = np.empty(60, [("label", "<u4"), ("pixels", "u1", (pixels,))])
    rows["label"] = random.integers(0, categories, 60)
    rows["label"][:2] = 0, categories - 1
    rows["pixels"] = random.integers(0, 256, (60, pixels))
    order = random.permutation(60)[:count]
    found = bytes(packing.packed(rows, order))
    if count:
        assert found == bytes(framed(rows["pixels"][order], rows["label"][order]))
    else:
        assert found == b""


def test_a_processor_without_the_instruction_packs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "has", lambda feature: False)
    assert not packing.can_pack()
    monkeypatch.setattr(packing, "has", lambda feature: True)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not packing.can_pack()


def test_no_processor_has_what_does_not_exist() -> None:
    assert not compiled.has("a coffee machine")
