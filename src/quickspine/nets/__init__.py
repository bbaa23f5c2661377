"""Layers, heads, backbones and the networks made of them."""
