"""Made-up runs: four models, three seeds, right about as often as real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from quickspine.evaluation.comparison import DataInfo
from quickspine.evaluation.metrics import ModelRun
from quickspine.params import Evaluate
from tests.unit.evaluation.answers import costs, run_of

CATEGORIES = ("cat", "ice cream", "zigzag", "key")


def _history(head: str, epochs: int = 4) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "loss": 1 / epoch,
            "accuracy": 1 - 0.5 / epoch,
            "val_loss": 1.1 / epoch,
            "val_accuracy": 1 - (0.6 if head == "dense" else 0.55) / epoch,
            "learning_rate": 0.003,
        }
        for epoch in range(1, epochs + 1)
    ]


def _run(stage: Any, head: str, seed: int, labels: Any, share: float, classes: int) -> ModelRun:
    generator = np.random.default_rng([seed, len(stage), len(head)])
    logits = generator.normal(0, 1, (len(labels), classes)).astype(np.float32)
    right = generator.random(len(labels)) < share
    logits[np.arange(len(labels)), labels] += np.where(right, 8, 0).astype(np.float32)
    size = {"dense": 9200, "spinal": 7850}.get(head, 1000)
    spent = costs(size, 3.2, backbone=200_000)
    return run_of(stage, head, seed, logits, _history(head), spent, 0.8 + seed / 100)


@pytest.fixture(scope="session")
def evaluate() -> Evaluate:
    return Evaluate(top_k=2, bootstrap_samples=500, confidence=0.95, latency_repeats=50, seed=1)


@pytest.fixture(scope="session")
def make() -> Callable[..., SimpleNamespace]:
    """Builds runs, labels, categories and data of a made-up evaluation."""

    def build(
        seeds: Sequence[int] = (1, 2, 3),
        stages: Sequence[str] = ("train", "finetune"),
        heads: Sequence[str] = ("dense", "spinal"),
        categories: Sequence[str] = CATEGORIES,
        spinal: float = 0.8,
        synthetic: bool = True,
    ) -> SimpleNamespace:
        labels = np.repeat(np.arange(len(categories)), 25)
        runs = [
            _run(stage, head, seed, labels, spinal if head == "spinal" else 0.8, len(categories))
            for stage in stages
            for head in heads
            for seed in seeds
        ]
        data = DataInfo(
            source="doodles" if synthetic else "quickdraw",
            synthetic=synthetic,
            train=800,
            validation=100,
            test=len(labels),
            licence="CC BY 4.0",
            attribution="nobody & <nothing>",
            shape=[28, 28, 1],
        )
        return SimpleNamespace(runs=runs, labels=labels, categories=list(categories), data=data)

    return build
