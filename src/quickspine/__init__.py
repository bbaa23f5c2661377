"""quickspine: does a SpinalNet head beat a dense head?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

__all__ = ["load_model"]


def load_model(path: str | Path) -> keras.Model:
    """Load a `model.keras` that a training wrote; nothing in the file can run code.

    Example:
        model = quickspine.load_model("models/train-spinal-1/model.keras")
        logits = model.predict(images)  # uint8 [-1, height, width, channels]

    Args:
        path: the file.

    Raises:
        ValueError: if the file is damaged, or not a model of quickspine's.
    """
    # Imported here: `--help` and the data stages do without TensorFlow's seconds.
    from quickspine.console import import_keras

    import_keras()
    from quickspine.training.model_file import load

    try:
        return load(Path(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
