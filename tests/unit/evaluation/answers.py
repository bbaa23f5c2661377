"""Made-up runs of heads: images differ in difficulty, trainings in luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

from quickspine.evaluation.metrics import Costs, Floats, Latency, ModelRun


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@st.composite
def logits_and_labels(draw: Any) -> tuple[Any, Any]:
    """Logits without ties (scikit-learn breaks those the other way) and labels."""
    classes, rows = draw(st.integers(2, 8)), draw(st.integers(1, 60))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0, 1000.0]))
    logits = (scale * source.normal(size=(rows, classes))).astype(np.float32)
    return logits, source.integers(0, classes, rows)


def heads(
    seeds: int,
    images: int,
    luck: float,
    source: np.random.Generator,
    better: float = 0.0,
    count: int = 2,
) -> Any:
    """Right or wrong, bool [count, seeds, images]; the second is `better`, the rest are equal."""
    ease = source.normal(1.5, 1.2, images)
    gain = np.where(np.arange(count) == 1, better, 0.0)
    runs = source.normal(0, luck, (count, seeds, 1)) + gain[:, None, None]
    return ease + runs + source.normal(0, 0.8, (count, seeds, images)) > 0


def costs(head_parameters: int = 1, one_ms: float = 1.0, backbone: int = 0) -> Costs:
    """Costs that grow with the head; a batch takes ten times as long as one image."""
    return Costs(
        parameters=backbone + head_parameters,
        head_parameters=head_parameters,
        multiplications=50 * backbone + head_parameters,
        head_multiplications=head_parameters,
        weights_bytes=4 * (backbone + head_parameters),
        activations_bytes=100_352,
        latency={1: Latency(one_ms, 1.5 * one_ms), 256: Latency(10 * one_ms, 12 * one_ms)},
    )


def run_of(
    stage: Literal["train", "finetune"],
    head: str,
    seed: int,
    logits: Floats,
    history: Sequence[Mapping[str, Any]] = (),
    of: Costs | None = None,
    validation_accuracy: float = 0.5,
) -> ModelRun:
    """A run whose costs do not matter, unless they are given."""
    return ModelRun(
        stage, head, seed, logits, of or costs(), validation_accuracy, list(history), 20.0 + seed
    )
