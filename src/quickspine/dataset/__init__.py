"""Choose, deduplicate and split images; write them as TFRecords; read them for training."""

from quickspine.params import SPLITS

__all__ = ["SPLITS"]
