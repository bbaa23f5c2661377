"""Layers and blocks that backbones and heads are built from."""
