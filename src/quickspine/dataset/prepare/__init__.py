"""Stage preprocess: choose, deduplicate and split."""
