"""How large a drawing each backbone needs, told without TensorFlow and before it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.errors import InputError
from quickspine.nets import sizes
from quickspine.params import Backbone, Params

SMALLEST = {
    "cnn": 16,
    "cifar_cnn": 8,
    "vgg5": 16,
    "vgg11": 32,
    "vgg13": 32,
    "vgg16": 32,
    "vgg19": 32,
    "resnet18": 9,
    "resnet34": 9,
    "densenet": 4,
}


def test_every_backbone_of_the_params_has_its_smallest_side() -> None:
    assert set(SMALLEST) == set(get_args(Backbone))
    assert {name: sizes.smallest_side(name) for name in sizes.SIDES} == SMALLEST


@given(name=st.sampled_from(sorted(SMALLEST)), side=st.integers(1, 3000))
def test_a_larger_drawing_has_no_smaller_map(name: str, side: int) -> None:
    here, there = sizes.SIDES[name](side), sizes.SIDES[name](side + 1)
    assert here <= there <= here + 1
    assert (here >= 1) == (side >= SMALLEST[name])


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"backbone": "vgg19"}, (28, 40, 1), "train.backbone: vgg19 needs images of at least "
         "32x32 pixels. Received: the data's, of 28x40; choose cnn or cifar_cnn or vgg5 or "
         "resnet18 or resnet34 or densenet"),
        ({"backbone": "densenet"}, (28, 3, 1), "at least 4x4 pixels. Received: the data's, of "
         "28x3; no backbone here takes them"),
        ({"backbone": "densenet", "features": "paper"}, (28, 28, 1), "train.features: densenet "
         "averages its map itself. Received: paper; set train.features: map"),
        ({"spinal_input": "cells"}, (28, 28, 1), "train.sub_layers: 4, and vgg5 with "
         "train.features: map makes only one of 28x28 pixels; set train.spinal_input: halves"),
        ({"backbone": "resnet18", "spinal_input": "cells", "sub_layers": 6}, (32, 32, 3),
         "makes 4 of 32x32 pixels; set train.sub_layers: 4, or train.spinal_input: halves"),
        ({"backbone": "cifar_cnn", "spinal_input": "cells"}, (96, 96, 3), "makes 144 of 96x96 "
         "pixels; set train.spinal_input: halves"),
        ({"backbone": "resnet18", "spinal_input": "cells", "features": "average"}, (32, 32, 3),
         "makes only one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(
    make_params: Callable[..., Params],
    changes: dict[str, Any],
    shape: tuple[int, int, int],
    message: str,
) -> None:
    params = make_params({f"train.{key}": value for key, value in changes.items()})
    with pytest.raises(InputError) as told:
        sizes.check(params, shape)
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({"train.backbone": "vgg19"}, (32, 33, 3)),
        ({"train.backbone": "resnet34", "train.spinal_input": "cells"}, (28, 32, 1)),
        (
            {
                "train.backbone": "resnet18",
                "train.spinal_input": "cells",
                "train.features": "paper",
            },
            (32, 32, 3),
        ),
        ({"train.spinal_input": "cells", "heads": ("linear", "dense")}, (28, 28, 1)),
        ({"train.backbone": "densenet", "train.features": "average"}, (32, 32, 3)),
        ({}, (16, 16, 1)),
    ],
)
def test_what_fits_is_let_through(
    make_params: Callable[..., Params], changes: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    sizes.check(make_params(changes), shape)


def test_checking_needs_no_tensorflow() -> None:
    code = "import sys, quickspine.nets.sizes; print('keras' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout, answer.returncode) == ("False\n", 0), answer.stderr
