"""Digests of eight drawings at once are those that hashlib makes of each."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quickspine.dataset.prepare import content, lanes
from tests.unit.dataset.conftest import random_drawings


@settings(max_examples=40, deadline=None)  # each new size is compiled: a tenth of a second
@given(
    count=st.integers(0, 40),
    size=st.one_of(st.integers(1, 600), st.sampled_from([127, 128, 129, 255, 256, 257, 784])),
    seed=st.integers(0, 999),
)
@example(count=17, size=784, seed=0)
@example(count=8, size=1, seed=0)
def test_digests_are_those_of_hashlib(count: int, size: int, seed: int) -> None:
    messages = np.random.default_rng(seed).integers(0, 256, (count, size), np.uint8)
    found = lanes.digests(messages)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, content.digests(messages))


@pytest.mark.parametrize("place", [0, 63, 64, 127, 128, 783])
def test_every_byte_and_every_lane_count(place: int) -> None:
    """Blank drawings but for one bit: the digest of that one is another, and no other changes."""
    blank = lanes.digests(np.zeros((16, 784), np.uint8))
    for row in range(16):
        messages = np.zeros((16, 784), np.uint8)
        messages[row, place] = 1
        changed = (lanes.digests(messages) != blank).any(axis=1)
        assert changed.tolist() == [number == row for number in range(16)]


def test_the_layout_in_memory_does_not_matter() -> None:
    plain = random_drawings(50, 16)
    wide = np.zeros((100, 2 * plain.shape[1]), np.uint8)
    wide[::2, ::2] = plain
    expected = content.digests(plain)
    for other in (plain, np.asfortranarray(plain), wide[::2, ::2], plain[::-1][::-1], plain[1:]):
        np.testing.assert_array_equal(lanes.digests(other), expected[-len(other) :])


def test_threads_that_ask_at_once_get_the_same() -> None:
    messages = [np.full((9, 333), value, np.uint8) for value in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for given_one, found in zip(messages, pool.map(lanes.digests, messages), strict=True):
            np.testing.assert_array_equal(found, content.digests(given_one))


@pytest.mark.parametrize(
    ("processor", "needed"),
    [("x86-64", "sse2"), ("x86-64-v3", "avx2"), ("x86-64-v4", "avx512bw")],
)
def test_older_processors_get_the_same(processor: str, needed: str) -> None:
    """Whatever the processor at hand has; a process of its own, since functions are kept."""
    code = (
        "import numpy as np, llvmlite.binding as llvm\n"
        "from quickspine.dataset.prepare import content, lanes\n"
        "offered = llvm.get_host_cpu_features()\n"
        f"if not offered.get({needed!r}): print('not here'); raise SystemExit\n"
        f"llvm.get_host_cpu_name = lambda: {processor!r}\n"
        "llvm.get_host_cpu_features = lambda: llvm.FeatureMap()\n"
        "rows = np.random.default_rng(0).integers(0, 256, (21, 300), np.uint8)\n"
        "assert (lanes.digests(rows) == content.digests(rows)).all(); print('the same')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout in ("the same\n", "not here\n"), done.stderr
    if done.stdout != "the same\n":
        pytest.skip(f"this processor is no {processor}")
