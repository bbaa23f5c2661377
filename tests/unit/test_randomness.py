"""Seeds derived from (seed, names): a change here would change every number of the project."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quickspine.dataset.records.seeds import derive


def test_the_derived_seeds_are_those_of_every_earlier_run() -> None:
    assert derive(1, "order", 3) == 1198522122
    assert derive(0) == 804681139
    assert derive(1, "backbone/conv1") == 200278319


@given(st.integers(0, 2**31 - 1), st.lists(st.text() | st.integers()))
def test_they_have_31_bits_and_repeat(seed: int, names: list[str | int]) -> None:
    assert 0 <= derive(seed, *names) < 2**31
    assert derive(seed, *names) == derive(seed, *names)


def test_another_seed_name_epoch_or_place_of_the_comma_is_another_seed() -> None:
    keys: list[tuple[int, *tuple[str | int, ...]]] = [
        (seed, name, epoch)
        for seed in (0, 1, 11)
        for name in ("order", "augment", "ord")
        for epoch in range(300)
    ]
    keys += [(1,), (1, "1"), (11,), (1, "1", 1), (1, 11, "1"), (1, "order1"), (1, "order", 1, 1)]
    assert len({derive(*key) for key in keys}) == len(keys)
