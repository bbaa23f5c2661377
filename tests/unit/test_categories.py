"""The names of drawable things."""

from __future__ import annotations

from quickspine.categories import DOODLES, quickdraw, unknown


def test_quick_draw_has_345_categories_each_once() -> None:
    names = quickdraw()
    assert len(names) == len(set(names)) == 345
    assert {"cat", "ice cream", "The Eiffel Tower", "t-shirt", "zigzag"} <= set(names)
    assert all(name == name.strip() and name.isprintable() for name in names)


def test_the_doodles_are_24_of_them_in_alphabetical_order() -> None:
    assert len(DOODLES) == 24
    assert set(DOODLES) <= set(quickdraw())
    assert list(DOODLES) == sorted(DOODLES)


def test_known_names_are_known_and_others_get_close_matches() -> None:
    assert all(unknown(name, quickdraw()) is None for name in quickdraw())
    assert str(unknown("catt", quickdraw())).startswith("no such category; did you mean 'cat', ")
    assert "'The Eiffel Tower'" in str(unknown("the eiffel tower", quickdraw()))
    assert "'ice cream'" in str(unknown("ICE-CREAM", DOODLES))
    assert unknown("qqqqq", quickdraw()) == "no such category"
    assert unknown("", quickdraw()) == "no such category"
    assert unknown("lion", DOODLES) is not None
