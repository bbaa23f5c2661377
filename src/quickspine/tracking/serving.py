"""The model as MLflow serves it: logged as code beside `model.keras`, never as a pickle.

MLflow runs this file to load a model; nothing in quickspine imports it.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel

BATCH = 256  # examples at once: memory stays bounded whatever is asked


class KerasModel(PythonModel):  # type: ignore[misc] # MLflow ships no types that mypy may follow
    """uint8 [n, height, width, channels] in, float32 logits [n, classes] out."""

    def load_context(self, context: Any) -> None:
        """Load the very file that the training wrote, without running code from inside it."""
        from quickspine.training.model_file import load

        self.model = load(Path(context.artifacts["model"]))

    # Bare `np.ndarray`: MLflow takes any other hint for a schema of its own, and warns; the
    # schema here is the signature.
    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Logits of a batch of images."""
        logits: np.ndarray = self.model.predict(model_input, batch_size=BATCH, verbose=0)
        return logits


mlflow.models.set_model(KerasModel())
