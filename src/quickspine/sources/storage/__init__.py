"""The format of data/raw: one file a category and a manifest."""
