"""Backbones that train from random weights: a new one is a file here, a line in `classifier`.

And one in `nets.sizes`, which tells without TensorFlow how large an image it needs.
"""
