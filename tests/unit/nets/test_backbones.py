"""Every backbone: the counts of the paper, maps, initial weights; and whole networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from quickspine.evaluation.flops import multiplications, products
from quickspine.nets import sizes
from quickspine.nets.backbones import classifier
from quickspine.nets.backbones.classifier import BACKBONES, pooling, select_features
from quickspine.nets.backbones.densenet import densenet
from quickspine.nets.backbones.layers.convolution import TunedConvolution
from quickspine.nets.backbones.layers.head_builder import head_class
from quickspine.nets.heads.dense import DenseHead
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Backbone, Head, Params
from quickspine.training.checkpoints import generators
from quickspine.training.model_file import parameters

# How He starts convolutions; the others start as PyTorch does by default.
HE = ("vgg5", "resnet18", "densenet")
# One of each kind: what differs within a kind is how many blocks there are.
KINDS = ("cnn", "cifar_cnn", "vgg11", "resnet18", "densenet")
HEADS: tuple[str, ...] = get_args(Head)
SLOW = pytest.mark.slow


def network(
    name: str, shape: tuple[int, int, int] = (32, 32, 3), *, width: float = 0.1, **changes: Any
) -> keras.Model:
    inputs = keras.Input(shape)
    chosen = {"initialisation": "pytorch", "seed": 1} | changes
    return keras.Model(inputs, BACKBONES[name](inputs, width=width, **chosen))


@pytest.fixture(scope="module")
def ahead() -> dict[str, keras.Model]:
    """A narrow one of each kind, for 32×32 pixels."""
    return {name: network(name) for name in KINDS}


def convolutions(model: keras.Model) -> list[keras.layers.Conv2D]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


# --- the paper's tables ---------------------------------------------------------------------

CNN = {"batch_norm": False, "backbone": "cnn", "dense_width": 50, "sub_layers": 6}
CIFAR_CNN = {"batch_norm": False, "backbone": "cifar_cnn", "dense_width": [1024, 512]}
VGG19 = {
    "batch_norm": False,
    "backbone": "vgg19",
    "dense_width": [4096, 4096],
    "spinal_width": 512,
}
RESNET = {"batch_norm": False, "features": "paper", "spinal_input": "cells"}
RESNET18 = RESNET | {"backbone": "resnet18"}
RESNET34 = RESNET | {"backbone": "resnet34", "spinal_width": 512}
GREY, COLOUR = (28, 28, 1), (32, 32, 3)
# Of MNIST, EMNIST's letters and all its characters; and 345 categories of Quick, Draw!
VGG5_DENSE = [(10, 3_646_154, 137_738), (47, 3_665_135, None), (345, 3_818_009, None)]
VGG5_SPINAL = [(10, 3_629_770, 121_354), (47, 3_648_751, None), (345, 3_801_625, None)]


@pytest.mark.parametrize(
    ("chosen", "head", "shape", "classes", "total", "own"),
    [
        (CNN, "dense", GREY, 10, 21_840, None),
        (CNN | {"spinal_width": 8}, "spinal", GREY, 10, 13_818, None),
        (CNN | {"spinal_width": 10}, "spinal", GREY, 10, 16_050, None),
        (CIFAR_CNN, "dense", COLOUR, 10, 5_852_170, None),
        (CIFAR_CNN | {"spinal_width": 128}, "spinal", COLOUR, 10, 2_230_282, None),
        (CIFAR_CNN, "dense", COLOUR, 100, 5_898_340, None),
        (CIFAR_CNN | {"spinal_width": 256}, "spinal", COLOUR, 100, 3_524_196, None),
        pytest.param(VGG19, "dense", COLOUR, 10, 38_958_922, None, marks=SLOW),
        pytest.param(VGG19, "spinal", COLOUR, 10, 21_368_650, None, marks=SLOW),
        # What the paper calls ResNet's dense head is one linear layer.
        (RESNET18, "linear", COLOUR, 10, 3_141_674, 2_570),
        (RESNET18, "spinal", COLOUR, 10, 3_609_130, 470_026),
        pytest.param(RESNET34, "linear", COLOUR, 100, 5_693_700, None, marks=SLOW),
        pytest.param(RESNET34, "spinal", COLOUR, 100, 7_185_668, None, marks=SLOW),
        *(({"batch_norm": True}, "dense", GREY, *counts) for counts in VGG5_DENSE),
        *(({"batch_norm": True}, "spinal", GREY, *counts) for counts in VGG5_SPINAL),
    ],
)
def test_whole_networks_have_the_parameters_of_the_paper(
    make_params: Callable[..., Params],
    chosen: dict[str, Any],
    head: str,
    shape: tuple[int, int, int],
    classes: int,
    total: int,
    own: int | None,
) -> None:
    values = {f"train.{key}": value for key, value in ({"width": 1.0} | chosen).items()}
    train = make_params(values).train
    model = classifier.build(train, head, classes=classes, seed=1, shape=shape)
    assert parameters(model) == total
    if own is not None:
        assert parameters(model.get_layer("head")) == own
    keras.utils.clear_session()


@pytest.mark.parametrize(
    ("name", "expected"),
    # Those of torchvision's vgg*_bn, less its classifier.
    [("vgg11", 9_225_984), ("vgg13", 9_410_880), ("vgg16", 14_723_136)],
)
def test_the_other_vggs_have_the_usual_parameters(name: str, expected: int) -> None:
    model = network(name, width=1)
    assert parameters(model) == expected
    assert model.output_shape == (None, 1, 1, 512)


def test_vgg5_is_that_of_the_paper() -> None:
    model = network("vgg5", GREY, width=1)
    assert model.output_shape == (None, 1, 1, 256)
    letters = {"Conv2D": "c", "FusedBatchNormalization": "n", "ReLU": "r", "MaxPooling2D": "P"}
    kinds = "".join(letters[type(layer).__name__] for layer in model.layers[1:])
    assert kinds == "P".join("cnr" * count for count in (2, 2, 3, 3)) + "P"
    sides = [layer.output.shape[1] for layer in model.layers if "_pool" in layer.name]
    assert sides == [14, 7, 3, 1]
    for width, expected in ((0.25, [16] * 2 + [32] * 2 + [64] * 6), (0.001, [1] * 10)):
        assert [c.filters for c in convolutions(network("vgg5", width=width))] == expected


@SLOW
def test_densenet_is_its_authors_at_their_depth() -> None:
    """DenseNet-BC of 100 layers and growth 12 has 769,162 parameters for CIFAR-10."""
    for layers_a_block, features, expected in ((16, 342, 769_162), (6, 132, 176_122)):
        inputs = keras.Input(COLOUR)
        chosen = {"width": 1.0, "initialisation": "pytorch", "seed": 1}
        outputs = densenet(inputs, layers_a_block=layers_a_block, **chosen)
        model = keras.Model(inputs, outputs)
        assert model.output_shape == (None, features)
        assert parameters(model) + (features + 1) * 10 == expected
        assert len(convolutions(model)) == 6 * layers_a_block + 3


def test_the_multiplications_of_the_mnist_network() -> None:
    model = network("cnn", GREY, width=1)
    # 24×24 positions of 5·5·1 → 10, then 8×8 of 5·5·10 → 20.
    assert multiplications(model) == 576 * 25 * 10 + 64 * 250 * 20
    for head, expected in (
        (DenseHead(10, width=50), 16_500),
        (SpinalHead(10, width=8, sub_layers=6), 8_480),
    ):
        head.build(model.output_shape)
        assert multiplications(head) == expected


def test_the_multiplications_of_a_residual_block_by_hand() -> None:
    """Stage 2, block 1, on 32×32 pixels: 32 channels of 32×32 to 64 of 16×16."""
    model = network("resnet18", width=1)
    layers = [layer.name for layer in convolutions(model)]
    found = dict(zip(layers, products(model), strict=True))
    names = [f"stage2_block1_{part}" for part in ("shortcut", "conv1", "conv2")]
    assert [found[name] for name in names] == [
        256 * (9 * 32) * 64,
        256 * (9 * 32) * 64,
        256 * (9 * 64) * 64,
    ]
    assert found["stem"] == 1024 * 27 * 32
    assert len(found) == 1 + 8 * 2 + 3


# --- maps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_size_from_the_smallest_on_and_both_colours(name: str) -> None:
    least = sizes.smallest_side(name)
    for height, width, channels in ((least, least + 3, 1), (least + 9, least, 3)):
        made = network(name, (height, width, channels), width=0.02).output_shape[1:]
        maps = made if len(made) == 3 else (1, 1, *made)
        assert maps[:2] == (sizes.SIDES[name](height), sizes.SIDES[name](width))
    for shape in ((least, least - 1, 1), (least - 1, least, 3)):
        with pytest.raises(ValueError, match=rf"{name} needs sides of at least {least}. Received"):
            network(name, shape)


def test_params_and_registry_name_the_same_backbones() -> None:
    assert list(BACKBONES) == list(get_args(Backbone)) == list(sizes.SIDES)


def test_strides_pad_as_pytorch_does(ahead: dict[str, keras.Model]) -> None:
    """A frame of one pixel all around, where Keras' "same" has none at the top and the left."""
    model = ahead["resnet18"]
    layers = {name: model.get_layer(f"stage2_block1_{name}") for name in ("conv1", "conv1_pad")}
    kernel = layers["conv1"].kernel
    maps = np.random.default_rng(0).random((1, 32, 32, kernel.shape[2]), np.float32)
    found = layers["conv1"](layers["conv1_pad"](maps))
    frame = [[0, 0], [1, 1], [1, 1], [0, 0]]
    expected = tf.nn.conv2d(maps, tf.convert_to_tensor(kernel), 2, frame)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_residual_block_adds_and_leaves_the_sum_as_it_is(ahead: dict[str, keras.Model]) -> None:
    model = ahead["resnet18"]
    names = ("stage1_block1_add", "stage1_block2_conv2_norm", "stage1_block2_add")
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    images = np.random.default_rng(0).random((2, *COLOUR), np.float32)
    before, made, after = (each.numpy() for each in inner(images))
    np.testing.assert_allclose(after, before + made, rtol=1e-6, atol=1e-6)
    assert after.min() < 0


@pytest.mark.parametrize(
    ("features", "head", "pool"),
    [
        *(("map", head, None) for head in HEADS),
        *(("average", head, np.mean) for head in HEADS),
        *(("maximum", head, np.max) for head in HEADS),
        *(("paper", head, np.max) for head in ("linear", "dense", "matched")),
        *(("paper", head, None) for head in ("spinal", "progressive")),
    ],
)
def test_heads_see_what_the_params_say(
    features: str, head: str, pool: Callable[..., Any] | None
) -> None:
    maps = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    expected = maps if pool is None else pool(maps, axis=(1, 2))
    pooled = pooling(features, head_class(head))
    np.testing.assert_allclose(select_features(maps, pooled), expected, rtol=1e-6, atol=1e-7)
    flat = maps[:, 0, 0]
    assert select_features(flat, pooled) is flat


@pytest.mark.parametrize("features", ["map", "paper"])
def test_the_matched_head_has_the_size_of_the_spinal_one_whatever_both_see(
    make_params: Callable[..., Params], features: str
) -> None:
    chosen = {"backbone": "resnet18", "width": 0.1, "batch_norm": True}
    chosen |= {"features": features, "spinal_input": "cells"}
    train = make_params({f"train.{key}": value for key, value in chosen.items()}).train
    matched, spinal = (
        classifier.build(train, head, classes=10, seed=1, shape=COLOUR).get_layer("head")
        for head in ("matched", "spinal")
    )
    assert spinal.cells
    each = matched.hidden.kernel.shape[0] + 1 + 10 + 2
    assert abs(parameters(matched) - parameters(spinal)) <= each / 2


# --- initial weights ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vgg5", *KINDS])
def test_initial_weights_are_those_of_the_paper_s_code(name: str) -> None:
    model = network(name, width=0.25)
    for layer in convolutions(model):
        kernel = layer.kernel.numpy().astype(np.float64)
        if name in HE:
            spread = np.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.filters))
            assert kernel.std() == pytest.approx(spread, rel=5 / np.sqrt(2 * kernel.size))
            assert layer.bias is None or not layer.bias.numpy().any()
        else:
            limit = 1 / np.sqrt(np.prod(kernel.shape[:3]))
            for values in (kernel, layer.bias.numpy()):
                assert np.abs(values).max() <= limit * (1 + 1e-6)
                assert np.abs(values).max() > limit * (1 - 6 / values.size)
                assert values.std() == pytest.approx(
                    limit / np.sqrt(3), rel=3 / np.sqrt(values.size)
                )


@pytest.mark.parametrize("name", KINDS)
def test_seed_layer_and_initialisation_decide_and_nothing_else(
    name: str, ahead: dict[str, keras.Model]
) -> None:
    keras.utils.set_random_seed(7)
    first, same = ahead[name].get_weights(), network(name).get_weights()
    assert [a.tobytes() for a in first] == [b.tobytes() for b in same]
    kernels = [layer.kernel.numpy().tobytes() for layer in convolutions(ahead[name])]
    for changes in ({"seed": 2}, {"initialisation": "keras"}):
        others = convolutions(network(name, **changes))
        kernels += [layer.kernel.numpy().tobytes() for layer in others]
    assert len(set(kernels)) == len(kernels)


# --- training -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "rate"), [("cnn", 0.5), ("cifar_cnn", 0.05), ("resnet18", 0.02)])
def test_whole_channels_are_dropped_by_the_layer_s_own_seed(name: str, rate: float) -> None:
    model, same, other = (network(name, seed=seed) for seed in (1, 1, 2))
    drops = [
        next(layer for layer in each.layers if "dropout" in layer.name)
        for each in (model, same, other)
    ]
    ones = np.ones((40, 3, 3, 100), np.float32)
    masks = [drop(ones, training=True).numpy() for drop in drops]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    assert (masks[0].min((1, 2)) == masks[0].max((1, 2))).all()
    assert (masks[0] == 0).mean() == pytest.approx(rate, abs=4 * np.sqrt(rate / 4000))
    np.testing.assert_array_equal(drops[0](ones, training=False), ones)
    assert list(generators(model)) == [drops[0].name]  # which checkpoints keep


@pytest.mark.parametrize("name", KINDS)
def test_what_trains_fast_is_what_a_normalisation_follows(name: str) -> None:
    """5×5, 1×1, strided and not normalised convolutions stay Keras' own; weights are the same."""
    plain, tuned = (network(name, kind=kind) for kind in (keras.layers.Conv2D, TunedConvolution))
    one, other = (
        [(w.path, tuple(w.shape), w.numpy().tobytes()) for w in model.weights]
        for model in (plain, tuned)
    )
    assert one == other
    norms = {layer.name for layer in tuned.layers if layer.name.endswith("_norm")}
    for layer in convolutions(tuned):
        normalised = f"{layer.name}_norm" in norms and name != "densenet"
        expected = normalised and layer.strides == (1, 1)
        assert isinstance(layer, TunedConvolution) == expected, layer.name


# --- whole networks -------------------------------------------------------------------------


def test_the_backbone_starts_equal_bit_for_bit_under_every_head(
    make_params: Callable[..., Params],
) -> None:
    train = make_params({"train.width": 0.05, "train.dropout": 0.5}).train
    starts = []
    for head in HEADS:
        model = classifier.build(train, head, classes=3, seed=1, shape=(16, 16, 1))
        layers = [layer for layer in model.layers if layer.name != "head"]
        starts.append([(w.path, w.numpy().tobytes()) for each in layers for w in each.weights])
    assert len(starts[0]) == 10 * 6
    assert all(start == starts[0] for start in starts)


def test_drawings_are_uint8_pixels_from_zero_to_one_and_logits_float32(
    make_params: Callable[..., Params],
) -> None:
    train = make_params({"train.width": 0.05}).train
    model = classifier.build(train, "spinal", classes=5, seed=1, shape=(16, 16, 1))
    assert (model.input_shape, model.inputs[0].dtype) == ((None, 16, 16, 1), "uint8")
    drawings = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8)
    inner = keras.Model(model.input, [model.get_layer("rescale").output, model.output])
    pixels, logits = inner(drawings)
    np.testing.assert_allclose(pixels, drawings / 255, rtol=1e-6)
    assert (logits.shape, logits.dtype) == ((4, 5), tf.float32)
    assert logits.numpy().min() < 0 < logits.numpy().max()  # no softmax inside
