"""What the trained models did on the validation drawings, by which one of them is put forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from quickspine.evaluation.trained import Trained
from quickspine.tracking.champion import Candidate
from quickspine.validation import Facts, checked


class Validated(Facts):
    """`metrics.json` of a model folder: what its training noted of the validation drawings."""

    val_accuracy: Annotated[float, Field(ge=0, le=1)]
    val_loss: Annotated[float, Field(ge=0)]
    params_digest: str


def candidates(trained: Sequence[Trained]) -> list[Candidate]:
    """Every model as a candidate for the registry.

    Raises:
        InputError: naming the first `metrics.json` that does not tell validation accuracy,
            loss and digest of the params.
    """
    found = []
    for model in trained:
        path = model.folder / "metrics.json"
        noted = checked(Validated, model.metrics, path, model.made_by)
        found.append(
            Candidate(
                stage=model.stage,
                head=model.head,
                seed=model.seed,
                model_digest=model.digest,
                params_digest=noted.params_digest,
                accuracy=noted.val_accuracy,
                loss=noted.val_loss,
            )
        )
    return found
