"""`make plan` says what runs, what may run, and why."""

from __future__ import annotations

from typing import Any

import pytest

from quickspine.plan import plan

GRAPH = {
    "fetch": [],
    "train@dense-1": ["fetch"],
    "train@spinal-1": ["fetch"],
    "evaluate": ["train@dense-1", "train@spinal-1"],
}
OUTPUTS = {"data/raw": "fetch", "models/a": "train@dense-1", "models/b": "train@spinal-1"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ["up to date"] * 4),
        (
            {"fetch": [{"changed deps": {"params.yaml": {"data": "modified"}}}]},
            ["runs", "may run", "may run", "may run"],
        ),
        (  # a fresh project: outputs that stages have yet to write are no reasons of others
            {
                "fetch": [{"changed outs": {"data/raw": "not in cache"}}],
                "train@dense-1": [{"changed deps": {"data/raw": "deleted"}}],
            },
            ["runs", "may run", "may run", "may run"],
        ),
        (  # an output that was replaced by hand, while its stage is up to date, is one
            {"train@dense-1": [{"changed deps": {"data/raw": "modified"}}]},
            ["up to date", "runs", "up to date", "may run"],
        ),
        (  # `models` is the folder of what the trainings write
            {
                "train@dense-1": [{"changed outs": {"models/a": "deleted"}}],
                "evaluate": [{"changed deps": {"models": "modified"}}],
            },
            ["up to date", "runs", "up to date", "may run"],
        ),
        ({"evaluate": ["changed command"]}, ["up to date"] * 3 + ["runs"]),
        (
            {"train@spinal-1": [{"changed deps": {"src/nets/heads/spinal.py": "modified"}}]},
            ["up to date", "up to date", "runs", "may run"],
        ),
    ],
)
def test_each_stage_runs_for_its_own_reasons(status: Any, expected: list[str]) -> None:
    assert [step.decision for step in plan(GRAPH, status, OUTPUTS)] == expected


def test_reasons_name_params_and_outside_inputs() -> None:
    status: Any = {
        "fetch": [{"changed deps": {"params.yaml": {"data.seed": "modified"}}}],
        "train@dense-1": [{"changed deps": {"inputs/weights": "modified"}}],
    }
    steps = {step.stage: step for step in plan(GRAPH, status, OUTPUTS)}
    assert steps["fetch"].reasons == ["data.seed modified"]
    assert steps["train@dense-1"].reasons == ["finetune.weights modified"]
    assert "train@dense-1" in steps["evaluate"].reasons[0]
