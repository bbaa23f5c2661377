"""Heads, one a file, found by the file's name; `backbones.layers.head_builder` builds them."""
