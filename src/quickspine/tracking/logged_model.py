"""A trained model as an MLflow LoggedModel: the same bytes, a signature, pinned requirements."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from quickspine.tracking.environment import versions
from quickspine.tracking.store import Store

REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy")
CODE = Path(__file__).with_name("serving.py")


def log_model(
    store: Store,
    run_id: str,
    file: Path,
    *,
    name: str,
    input_shape: Sequence[int],
    classes: int,
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> str:
    """Log `model.keras` as the output of a run.

    By the client's own calls: `mlflow.pyfunc.log_model` would write to the global tracking URI.
    After a kill or a fault on the way another call completes what the first one began.

    Args:
        store: where to.
        run_id: of the training.
        file: the `model.keras`.
        name: of the model; without / : . % and quotes.
        input_shape: height, width, channels of a uint8 image.
        classes: logits an image.
        params: shown with the model.
        tags: of the model.

    Returns:
        The model's id: `models:/<id>` loads it.
    """
    import numpy as np
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import Schema, TensorSpec

    signature = ModelSignature(
        Schema([TensorSpec(np.dtype("uint8"), (-1, *input_shape))]),
        Schema([TensorSpec(np.dtype("float32"), (-1, classes))]),
    )
    # MLflow would cast JSON to uint8 before the model sees it, and quote all pixels in its
    # errors. So the model checks its input itself: see serving.py.
    signature._is_signature_from_type_hint = True
    begun = store.client.search_logged_models(
        [store.experiment_id], filter_string=f"source_run_id = '{run_id}'"
    )
    model = next(iter(begun), None) or store.client.create_logged_model(
        store.experiment_id,
        name=name,
        source_run_id=run_id,
        model_type="classifier",
        params=dict(params),
        tags=dict(tags),
    )
    with tempfile.TemporaryDirectory() as folder:
        save_model(
            path=f"{folder}/model",
            mlflow_model=Model(
                artifact_path=model.artifact_location,
                model_uuid=model.model_id,
                model_id=model.model_id,
                run_id=run_id,
            ),
            python_model=str(CODE),
            artifacts={"model": file.as_uri()},  # a path with ? or % would be taken for a URI
            signature=signature,
            # Named: inferring them takes 16 s. quickspine itself is on no index, so it is not
            # among them: install it beside.
            pip_requirements=[f"{k}=={v}" for k, v in versions(*REQUIREMENTS).items()],
        )
        store.client.log_model_artifacts(model.model_id, f"{folder}/model")
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)
