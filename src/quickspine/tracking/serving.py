"""The model as MLflow serves it: logged as code beside `model.keras`, never as a pickle.

MLflow runs this file to load a model; nothing in quickspine imports it.
"""

from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.pyfunc import PythonModel

BATCH = 256  # images at once: memory stays bounded whatever is asked


class InputRefusedError(MlflowException):  # type: ignore[misc] # MLflow ships no types
    """One sentence; MLflow's server would put all pixels before it."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence
        super().__init__(sentence, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The sentence, whatever is assigned."""
        return self._sentence

    @message.setter
    def message(self, value: str) -> None:
        pass


class KerasModel(PythonModel):  # type: ignore[misc] # MLflow ships no types
    """uint8 [n, height, width, channels] in, float32 logits [n, classes] out."""

    def load_context(self, context: Any) -> None:
        """Load the very file that the training wrote, without running code from inside it."""
        from quickspine import load_model

        self.model = load_model(context.artifacts["model"])

    # Bare `np.ndarray`: MLflow takes any other hint for a schema of its own, and warns.
    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Logits of a batch of images.

        Raises:
            InputRefusedError: where the input cannot be images with values from 0 to 255.
        """
        images = self._checked(model_input)
        logits: np.ndarray = self.model.predict(images, batch_size=BATCH, verbose=0)
        return logits

    def _checked(self, given: Any) -> np.ndarray:
        height, width, channels = self.model.input_shape[1:]
        wanted = f"send uint8 images [n, {height}, {width}, {channels}], values from 0 to 255"
        try:
            images = np.asarray(given)
        except ValueError:
            raise InputRefusedError(f"Images of different shapes; {wanted}.") from None
        if images.ndim != 4 or images.shape[1:] != (height, width, channels):
            raise InputRefusedError(f"Received shape {list(images.shape)}; {wanted}.")
        if images.dtype.kind not in "iu":
            raise InputRefusedError(f"Received {images.dtype} values; {wanted}.")
        if images.size and not 0 <= images.min() <= images.max() <= 255:
            found = f"{images.min()} to {images.max()}"
            raise InputRefusedError(f"Received values from {found}; {wanted}.")
        if images.size and images.max() <= 1:
            raise InputRefusedError(f"Received no value above 1, as after a division; {wanted}.")
        return images.astype(np.uint8)


mlflow.models.set_model(KerasModel())
