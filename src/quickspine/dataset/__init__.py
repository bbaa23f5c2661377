"""Choose, deduplicate and split drawings; write them as TFRecords; read them for training."""

SPLITS = ("train", "validation", "test")
