"""Backbones that train from random weights, by name: a new one is one file and one line here.

And one in `nets.sizes`, which tells without TensorFlow how large a drawing it needs.
"""

from collections.abc import Callable
from typing import Any

from quickspine.nets.backbones.cifar_cnn import cifar_cnn
from quickspine.nets.backbones.cnn import cnn
from quickspine.nets.backbones.densenet import densenet
from quickspine.nets.backbones.resnet import resnet18, resnet34
from quickspine.nets.backbones.vgg import vgg5, vgg11, vgg13, vgg16, vgg19

__all__ = ["BACKBONES"]

BACKBONES: dict[str, Callable[..., Any]] = {
    "cnn": cnn,
    "cifar_cnn": cifar_cnn,
    "vgg5": vgg5,
    "vgg11": vgg11,
    "vgg13": vgg13,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "densenet": densenet,
}
