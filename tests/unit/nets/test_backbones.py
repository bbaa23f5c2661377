"""Every backbone: the counts of the paper's tables, its maps, its initial weights."""

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
from quickspine.nets.backbones.classifier import BACKBONES
from quickspine.nets.backbones.densenet import densenet
from quickspine.nets.backbones.features import pooling, select_features
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
    found = {each.name: each for each in products(network("resnet18", width=1))}
    names = [f"stage2_block1_{part}" for part in ("shortcut", "conv1", "conv2")]
    assert [found[name].multiply_adds for name in names] == [
        256 * (9 * 32) * 64,
        256 * (9 * 32) * 64,
        256 * (9 * 64) * 64,
    ]
    assert found["stem"].multiply_adds == 1024 * 27 * 32
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


@pytest.mark.parametrize(("name", "one"), [("cnn", 20), ("cifar_cnn", 256), ("resnet18", 256)])
def test_width_scales_channels(name: str, one: int) -> None:
    for width, expected in ((0.25, one // 4), (0.0001, 1)):
        assert network(name, width=width).output_shape[-1] == expected


def test_halves_of_the_mnist_network_s_features_are_halves_of_its_channels() -> None:
    maps = network("cnn", GREY, width=1)(np.random.default_rng(0).random((2, *GREY), np.float32))
    head = SpinalHead(3, width=5, sub_layers=1)
    head.build((None, 4, 4, 20))
    assert head.spinal1.kernel.shape[0] == 160
    changed = maps.numpy()
    changed[..., 10:] += 1
    np.testing.assert_array_equal(head(maps).numpy(), head(changed).numpy())
    changed[..., 9] += 1
    assert not np.allclose(head(maps).numpy(), head(changed).numpy())


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


def test_the_paper_s_dense_resnet_sees_the_maximum_of_the_map_before_its_pooling(
    make_params: Callable[..., Params],
) -> None:
    chosen = {"backbone": "resnet18", "width": 0.02, "features": "paper"}
    train = make_params({f"train.{key}": value for key, value in chosen.items()}).train
    model = classifier.build(train, "linear", classes=3, seed=1, shape=COLOUR)
    before = model.get_layer("stage4_block2_add").output
    inner = keras.Model(model.input, [before, model.get_layer("head").input])
    large, found = inner(np.random.default_rng(0).integers(0, 256, (2, *COLOUR), np.uint8))
    assert large.shape[1:3] == (4, 4)
    np.testing.assert_array_equal(found, np.max(large, axis=(1, 2)))


@pytest.mark.parametrize(("features", "spinal_input"), [("map", "cells"), ("paper", "cells")])
def test_the_matched_head_has_the_size_of_the_spinal_one_whatever_both_see(
    make_params: Callable[..., Params], features: str, spinal_input: str
) -> None:
    chosen = {"backbone": "resnet18", "width": 0.1, "batch_norm": True}
    chosen |= {"features": features, "spinal_input": spinal_input}
    train = make_params({f"train.{key}": value for key, value in chosen.items()}).train
    matched, spinal = (
        classifier.build(train, head, classes=10, seed=1, shape=COLOUR).get_layer("head")
        for head in ("matched", "spinal")
    )
    assert spinal.cells == (spinal_input == "cells")
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


@SLOW
def test_deep_networks_keep_the_signal_alive() -> None:
    images = np.random.default_rng(0).random((8, *COLOUR), np.float32)
    for name in ("vgg19", "resnet34", "densenet"):
        spread = float(np.asarray(network(name)(images, training=True)).std())
        assert 0.03 < spread < 30, name


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
