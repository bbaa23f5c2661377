"""VGG-5: its shape and its parameters, those of the paper."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from quickspine.nets.backbones.vgg import vgg5
from quickspine.nets.heads.dense import DenseHead
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.training.model_file import parameters


def network(
    side: int = 28, width: float = 0.05, seed: int = 1, initialisation: str = "pytorch"
) -> keras.Model:
    inputs = keras.Input((side, side, 1))
    return keras.Model(inputs, vgg5(inputs, width=width, initialisation=initialisation, seed=seed))


@pytest.fixture(scope="module")
def full() -> keras.Model:
    return network(width=1)


@pytest.mark.parametrize(
    ("classes", "dense", "spinal"),
    [
        (10, 3_646_154, 3_629_770),
        (26, 3_654_362, 3_637_978),
        (47, 3_665_135, 3_648_751),
        (62, 3_672_830, 3_656_446),
        (345, 3_818_009, 3_801_625),
    ],
)
def test_parameters_are_those_of_the_paper(
    full: keras.Model, classes: int, dense: int, spinal: int
) -> None:
    for kind, expected in ((DenseHead, dense), (SpinalHead, spinal)):
        head = kind(classes, dropout=0.5, batch_norm=True)
        head.build(full.output_shape)
        assert parameters(full) + parameters(head) == expected


def test_the_network_is_that_of_the_paper(full: keras.Model) -> None:
    assert full.output_shape == (None, 1, 1, 256)
    assert full.count_params() - parameters(full) == 4_864 - 2 * 4 * 128  # less a spinal head's
    letters = {"Conv2D": "c", "FusedBatchNormalization": "n", "ReLU": "r", "MaxPooling2D": "P"}
    kinds = "".join(letters[type(layer).__name__] for layer in full.layers[1:])
    assert kinds == "P".join("cnr" * count for count in (2, 2, 3, 3)) + "P"
    sides = [layer.output.shape[1] for layer in full.layers if "_pool" in layer.name]
    assert sides == [14, 7, 3, 1]


def test_width_scales_every_block_and_keeps_one_filter() -> None:
    def filters(model: keras.Model) -> list[int]:
        return [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]

    assert filters(network(width=0.25)) == [16] * 2 + [32] * 2 + [64] * 6
    assert filters(network(width=0.001)) == [1] * 10


def test_seed_and_initialisation_decide_the_weights() -> None:
    def kernels(**changes: Any) -> list[np.ndarray]:
        return [w.numpy() for w in network(**changes).weights if w.name == "kernel"]

    first = kernels()
    assert all(np.array_equal(a, b) for a, b in zip(first, kernels(), strict=True))
    for other in (kernels(seed=2), kernels(initialisation="keras")):
        assert not any(np.allclose(a, b) for a, b in zip(first, other, strict=True))
