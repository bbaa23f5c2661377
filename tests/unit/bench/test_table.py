from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quickspine.bench import table
from quickspine.bench.turns import ratio, summary

CELLS = st.one_of(st.text(st.characters(categories=["L", "N", "P"])), st.integers(), st.just("\n"))


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5))
def test_every_line_is_as_long_and_has_as_many_cells(rows: list[tuple[Any, ...]]) -> None:
    lines = table.table(("name", "a", "b"), rows).split("\n")
    assert len(lines) == 2 + len(rows)
    assert len({len(line) for line in lines}) == 1
    assert all(line.replace("\\|", "").count("|") == 4 for line in lines)


def test_rates_and_ratios() -> None:
    ours, theirs = [300.0, 100.0, 200.0], [100.0, 50.0, 80.0]
    rates = table.rates({"ours": summary(ours), "theirs": summary(theirs)}, "images/s")
    assert rates.splitlines() == [
        "| images/s | median | slowest | fastest |",
        "|----------|-------:|--------:|--------:|",
        "| ours     |    200 |     100 |     300 |",
        "| theirs   |     80 |      50 |     100 |",
    ]
    ratios = table.ratios({"ours to theirs": ratio(ours, theirs)}, "how many times")
    assert ratios.splitlines()[2].split() == (
        ["|", "ours", "to", "theirs", "|", "2.50x", "|", "2.00x", "|", "3.00x", "|"]
    )


def test_numbers_as_people_read_them() -> None:
    shown = [table.cell(value) for value in (1234567.8, 99.95, 0.01234, 1234567, "a|b")]
    assert shown == ["1,234,568", "100", "0.0123", "1,234,567", "a\\|b"]


def test_who_was_skipped_has_a_paragraph() -> None:
    assert table.skipped({"PyTorch": "no network"}) == "\n\nPyTorch was skipped: no network."
    assert table.skipped({}) == ""
