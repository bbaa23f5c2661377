"""Facts about a run in the forms that MLflow takes: texts, a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from quickspine.tracking.quiet import masked

DATASET_DIGEST = 12  # characters that name it in the UI; MLflow keeps 36, the tag has all


def texts(values: Mapping[str, Any], none: str | None = None) -> dict[str, str]:
    """Values as MLflow's texts: strings bare (without passwords), the rest as JSON."""
    given = {key: none if value is None else value for key, value in values.items()}
    return {
        key: masked(value) if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in given.items()
        if value is not None
    }


def dataset_input(name: str, digest: str, facts: Mapping[str, Any]) -> Any:
    """A data set as the `mlflow.entities.DatasetInput` of a training.

    Args:
        name: of its source, such as "doodles".
        digest: hex sha256 of the data set.
        facts: shown with it, such as counts.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=name,
        digest=digest[:DATASET_DIGEST],
        source_type="quickspine",
        source=json.dumps({"source": name}),
        profile=json.dumps(facts, default=str),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
