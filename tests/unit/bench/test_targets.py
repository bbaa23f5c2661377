from __future__ import annotations

from quickspine.bench import targets


def test_a_shortfall_is_shown() -> None:
    found = targets.lines(
        [
            (targets.TORCH, "", 1.5),
            (targets.TORCH, "", 1.4999),
            (targets.READ, "batch 128", 999_999.0),
            (targets.WAITING, "", 0.0199),
            (targets.WAITING, "", 0.02),
            (targets.KERAS, "", None),
        ]
    )
    torch = "- training, at least 1.5 times plain PyTorch in bfloat16"
    assert found.splitlines() == [
        f"{torch}: reached, 1.50 times",
        f"{torch}: **NOT reached**, 1.50 times",
        "- reading for training, at least 1,000,000 drawings a second (batch 128): "
        "**NOT reached**, 999,999 a second",
        "- waiting for input, under 2 % of the time: reached, 1.99%",
        "- waiting for input, under 2 % of the time: **NOT reached**, 2.00%",
        "- training, at least 4 times plain Keras: not measured",
    ]


def test_what_is_not_a_number_reaches_nothing() -> None:
    assert not targets.READ.reached(float("nan"))
    assert not targets.WAITING.reached(float("nan"))
