"""Backbones that train from random weights, by name: a new one is one file and one line here."""

from quickspine.nets.backbones.vgg5 import vgg5

__all__ = ["BACKBONES", "vgg5"]

BACKBONES = {"vgg5": vgg5}
