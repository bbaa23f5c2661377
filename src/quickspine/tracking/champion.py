"""The rule that decides between a candidate and the champion. It knows no MLflow and no test split.

All models that are compared were chosen on the same validation images: the registered model they
share is named after them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

CHAMPION = "champion"
CHALLENGER = "challenger"
DIGEST = 8  # characters of the data's digest in a name


@dataclass(frozen=True)
class Candidate:
    """A trained model that may be put forward."""

    stage: str  # "train" or "finetune"
    head: str
    seed: int
    model_digest: str  # hex sha256 of its `model.keras`
    params_digest: str  # hex sha256 of the params that trained it
    accuracy: float  # on the validation images, a share from 0 to 1
    loss: float  # on the same, in nats

    @property
    def name(self) -> str:
        """Of its run, such as "train-spinal-1"."""
        return f"{self.stage}-{self.head}-{self.seed}"


@dataclass(frozen=True)
class Decision:
    """Which alias a candidate gets, and why."""

    alias: str  # CHAMPION or CHALLENGER
    reason: str  # with both accuracies, the margin and the number of images


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Choose the candidate that is put forward, of at least one.

    The highest validation accuracy; of equal ones the lowest validation loss, then the first name.
    """
    return min(candidates, key=lambda each: (-each.accuracy, each.loss, each.name))


def margin(candidate: float, champion: float, drawings: int) -> float:
    """One standard error of the difference of two accuracies, taken as independent.

    Both models answered the same images, so the true one is smaller as a rule: the champion is
    favoured.

    Args:
        candidate: its accuracy, a share.
        champion: the champion's accuracy, a share.
        drawings: images that both were measured on.
    """
    variance = candidate * (1 - candidate) + champion * (1 - champion)
    return math.sqrt(variance / drawings)


def decide(candidate: float, champion: float | None, drawings: int) -> Decision:
    """Champion, where there is none yet, or where the candidate is better by more than `margin`.

    Args:
        candidate: its validation accuracy, a share.
        champion: the champion's; None where there is no champion.
        drawings: validation images, at least one.
    """
    counted = f"{drawings} validation images"
    if champion is None:
        return Decision(
            CHAMPION, f"there is no champion yet; right on {_points(candidate)} % of {counted}"
        )
    difference, error = candidate - champion, margin(candidate, champion, drawings)
    is_better = difference > error
    verdict = "more than" if is_better else "not more than"
    reason = (
        f"{_points(candidate)} % right against the champion's {_points(champion)} %: "
        f"{difference * 100:+.2f} points, {verdict} one standard error of the difference, "
        f"{_points(error)} points, on {counted}"
    )
    return Decision(CHAMPION if is_better else CHALLENGER, reason)


def registered_name(experiment: str, source: str, data_digest: str) -> str:
    """The name under which models of the same images are registered and compared.

    Args:
        experiment: `tracking.experiment`; what a model's name or URI may not hold becomes "-".
        source: of the images, such as "doodles".
        data_digest: hex sha256 of the data set.
    """
    plain = re.sub(r"[^\w-]+", "-", experiment).strip("-") or "experiment"
    of = re.sub(r"[^\w-]+", "-", source).strip("-")
    return f"{plain}-{of}-{data_digest[:DIGEST]}"


def _points(share: float) -> str:
    return f"{share * 100:.2f}"
