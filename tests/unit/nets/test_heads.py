"""The heads against the paper's equations, its parameter counts, and PyTorch's flattening."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quickspine.nets.backbones.layers.head_block import (
    HeadLayer,
    HiddenHead,
    flatten_channels_first,
    spinal_parameters,
)
from quickspine.nets.backbones.layers.head_builder import build_head
from quickspine.nets.heads.dense import DenseHead
from quickspine.nets.heads.linear import LinearHead
from quickspine.nets.heads.matched import MatchedHead
from quickspine.nets.heads.progressive import ProgressiveHead
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Head, Params
from quickspine.training.model_file import parameters

Array = NDArray[np.float64]
KINDS: tuple[type[HeadLayer], ...] = (
    DenseHead,
    SpinalHead,
    LinearHead,
    MatchedHead,
    ProgressiveHead,
)
NAMES = ("dense", "spinal", "linear", "matched", "progressive")


@pytest.fixture
def global_policy() -> Iterator[Callable[[str], None]]:
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def built(head: HeadLayer, *shape: int) -> HeadLayer:
    head.build((None, *shape))
    return head


def count(head: HeadLayer, *shape: int) -> int:
    return parameters(built(head, *shape))


def features(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def randomised(head: HeadLayer) -> HeadLayer:
    """Give every weight, running statistics too, a value of its own; variances stay positive."""
    random = np.random.default_rng(1)
    head.set_weights([random.uniform(0.2, 1.0, w.shape) - 0.4 * (w.ndim == 2) for w in
                      head.get_weights()])  # fmt: skip
    return head


# --- parameter counts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "size", "expected"),
    [
        (DenseHead(3, width=[5, 4], batch_norm=True), 6, 35 + 10 + 24 + 8 + 15),
        # By hand: 64 (257 + 321 + 385 + 449) and 10 (512 + 1).
        (ProgressiveHead(10), 256, 90_368 + 5_130),
        (ProgressiveHead(10, width=64, batch_norm=True), 256, 90_368 + 512 + 5_130),
    ],
)
def test_parameters_counted_by_hand(head: HeadLayer, size: int, expected: int) -> None:
    assert count(head, size) == expected


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 41),
    width=st.none() | st.integers(1, 9),
    layers=st.integers(1, 7),
    classes=st.integers(1, 9),
    batch_norm=st.booleans(),
)
def test_spinal_parameters_follow_the_formula(
    size: int, width: int | None, layers: int, classes: int, batch_norm: bool
) -> None:
    head = SpinalHead(classes, width=width, sub_layers=layers, batch_norm=batch_norm)
    h = (size + 1) // 2
    w = width or h
    expected = (h + 1) * w + (layers - 1) * (h + w + 1) * w + (layers * w + 1) * classes
    expected += batch_norm * 2 * w * layers
    assert count(head, size) == expected
    assert spinal_parameters(h, classes, width, layers, batch_norm) == expected


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 300),
    width=st.none() | st.integers(1, 200),
    layers=st.integers(1, 7),
    classes=st.integers(1, 400),
    batch_norm=st.booleans(),
)
def test_no_dense_head_is_nearer_to_the_spinal_heads_size_than_the_matched_one(
    size: int, width: int | None, layers: int, classes: int, batch_norm: bool
) -> None:
    wanted = spinal_parameters((size + 1) // 2, classes, width, layers, batch_norm)
    head = MatchedHead(classes, spinal_width=width, sub_layers=layers, batch_norm=batch_norm)
    own = head.matched_width(size)

    def apart(units: int) -> int:
        norm = 2 * units * batch_norm
        return abs((size + 1) * units + norm + (units + 1) * classes - wanted)

    assert apart(own) == min(apart(units) for units in (own - 1, own, own + 1) if units)
    if own > 1:
        assert apart(own - 1) > apart(own) or apart(own) == 0


# --- the equations --------------------------------------------------------------------------


def by_hand(head: HeadLayer, name: str, x: Array, *, hidden: bool) -> Array:
    kernel, bias = (w.astype(np.float64) for w in getattr(head, name).get_weights())
    x = x @ kernel + bias
    if hidden and head.batch_norm:
        norm = getattr(head, f"{name}_norm")
        gamma, beta, mean, variance = (w.astype(np.float64) for w in norm.get_weights())
        x = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    return np.maximum(x, 0) if hidden else x


def logits_by_hand(head: HeadLayer, x: Array) -> Array:
    if isinstance(head, ProgressiveHead):
        for k in range(1, head.sub_layers + 1):
            x = np.concatenate([x, by_hand(head, f"spinal{k}", x, hidden=True)], axis=1)
    elif isinstance(head, SpinalHead):
        half = (x.shape[1] + 1) // 2  # of an odd number both see the middle one
        parts = [x[:, :half], x[:, x.shape[1] - half :]]
        x = spinal_by_hand(head, [parts[k % 2] for k in range(head.sub_layers)])
    elif isinstance(head, HiddenHead):
        for name in ("hidden", "hidden2", "hidden3")[: len(head.blocks)]:
            x = by_hand(head, name, x, hidden=True)
    return by_hand(head, "logits", x, hidden=False)


def spinal_by_hand(head: SpinalHead, parts: list[Array]) -> Array:
    """All outputs of the sub-layers, of which each sees one of `parts`."""
    outputs = [by_hand(head, "spinal1", parts[0], hidden=True)]
    for k, part in enumerate(parts[1:], start=2):
        joined = np.concatenate([part, outputs[-1]], axis=1)
        outputs.append(by_hand(head, f"spinal{k}", joined, hidden=True))
    return np.concatenate(outputs, axis=1)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    size=st.integers(1, 13),
    widths=st.lists(st.integers(1, 6), max_size=3),
    layers=st.integers(1, 6),
    batch_norm=st.booleans(),
)
def test_logits_are_those_of_the_equations(
    kind: type[HeadLayer], size: int, widths: list[int], layers: int, batch_norm: bool
) -> None:
    width = widths[0] if widths else None
    options: dict[Any, dict[str, Any]] = {
        DenseHead: {"width": widths or None},
        SpinalHead: {"width": width, "sub_layers": layers},
        ProgressiveHead: {"width": width, "sub_layers": layers},
        MatchedHead: {"spinal_width": width, "sub_layers": layers},
    }
    head = kind(4, batch_norm=batch_norm, dropout=0.5, **options.get(kind, {}))
    randomised(built(head, size))
    x = features(5, size)
    expected = logits_by_hand(head, x.astype(np.float64))
    np.testing.assert_allclose(head(x).numpy(), expected, rtol=5e-5, atol=5e-5)


def test_with_cells_each_sub_layer_sees_its_own() -> None:
    """The equations of the paper's ResNets: the cells of the map row by row, once each."""
    head = randomised(built(SpinalHead(3, width=4, sub_layers=6, cells=True, dropout=0.5), 2, 3, 5))
    maps = features(4, 2, 3, 5)
    cells = [maps[:, row, column].astype(np.float64) for row in range(2) for column in range(3)]
    expected = by_hand(head, "logits", spinal_by_hand(head, cells), hidden=False)
    np.testing.assert_allclose(head(maps).numpy(), expected, rtol=2e-5, atol=2e-5)


# --- flattening -----------------------------------------------------------------------------


def test_maps_are_flattened_channel_by_channel() -> None:
    height, width, channels = 2, 3, 4
    maps = np.zeros((1, height, width, channels), np.float32)
    maps += np.arange(channels) * 100 + np.arange(width)[:, None] + 10 * np.arange(height)[
        :, None, None
    ]  # fmt: skip
    flat = np.asarray(flatten_channels_first(maps))[0]
    place = [0, 1, 2, 10, 11, 12]
    assert flat.tolist() == [100 * c + p for c in range(channels) for p in place]


def test_the_first_half_is_half_of_the_channels() -> None:
    head = randomised(built(SpinalHead(3, width=5, sub_layers=1), 2, 3, 4))
    maps = features(2, 2, 3, 4)
    other = maps.copy()
    other[..., 2:] += 1
    np.testing.assert_array_equal(head(maps).numpy(), head(other).numpy())
    other = maps.copy()
    other[:, 1, :, 0] += 1  # the lower half of the image, in the first channel
    assert not np.allclose(head(maps).numpy(), head(other).numpy())


# --- dropout, precision, initial weights ----------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_alone(kind: type[HeadLayer]) -> None:
    head = built(kind(3, dropout=0.5), 64)
    x = features(2, 64)
    np.testing.assert_array_equal(head(x).numpy(), head(x).numpy())
    assert not np.allclose(head(x, training=True).numpy(), head(x, training=True).numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_logits_stay_float32_under_a_mixed_policy(
    kind: type[HeadLayer], global_policy: Callable[[str], None]
) -> None:
    x = features(6, 33)
    expected = built(kind(3, batch_norm=True, dropout=0.1, dtype="float32"), 33)(x).numpy()
    global_policy("mixed_bfloat16")
    head = built(kind(3, batch_norm=True, dropout=0.1, dtype="float32"), 33)
    assert {layer.compute_dtype for layer in head._flatten_layers()} == {"float32"}
    np.testing.assert_array_equal(head(x).numpy(), expected)


def test_initial_weights_come_from_seed_and_layer() -> None:
    first, same, other = (built(SpinalHead(3, seed=seed), 64) for seed in (1, 1, 2))
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first.trainable_weights, other.trainable_weights, strict=True):
        assert not np.allclose(a.numpy(), b.numpy())
    blocks = [getattr(first, f"spinal{k}").kernel.numpy() for k in (2, 3, 4)]
    assert len({block.tobytes() for block in blocks}) == 3


def test_every_block_is_initialised_by_its_own_fan_in() -> None:
    head = built(SpinalHead(50, width=30, sub_layers=3), 200)
    for name, fan_in in (("spinal1", 100), ("spinal2", 130), ("spinal3", 130), ("logits", 90)):
        kernel, bias = getattr(head, name).get_weights()
        assert kernel.shape[0] == fan_in
        for values in (kernel, bias):
            assert 0.9 < np.abs(values).max() * np.sqrt(fan_in) <= 1


# --- as objects -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        DenseHead(3, width=5, dropout=0.1, batch_norm=True, initialisation="keras", seed=4),
        SpinalHead(3, width=5, sub_layers=3, dropout=0.1, batch_norm=True, seed=4),
        SpinalHead(3, cells=True, seed=4),
        DenseHead(3, width=[5, 4], seed=4),
        LinearHead(3, dropout=0.1, seed=4),
        MatchedHead(3, spinal_part=6, seed=4),
        MatchedHead(3, spinal_width=4, sub_layers=3, dropout=0.1, batch_norm=True, seed=4),
        ProgressiveHead(3, width=5, sub_layers=3, dropout=0.1, batch_norm=True, seed=4),
    ],
)
@pytest.mark.parametrize("shape", [(7,), (2, 2, 3)])
def test_heads_survive_saving(head: HeadLayer, shape: tuple[int, ...], tmp_path: Path) -> None:
    inputs = keras.Input((2, 2, 3) if head.get_config().get("cells") else shape)
    shape = inputs.shape[1:]
    fresh = type(head).from_config({**head.get_config(), "name": "head"})
    model = keras.Model(inputs, fresh(inputs))
    randomised(fresh)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.get_layer("head").get_config() == fresh.get_config()
    x = features(4, *shape)
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).numpy())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: SpinalHead(3, sub_layers=0), "sub_layers=0"),
        (lambda: SpinalHead(3, width=0), "width=0"),
        (lambda: DenseHead(3, width=0), "width=0"),
        (lambda: DenseHead(3, width=[]), r"width=\[\]"),
        (lambda: DenseHead(3, width=[4, 0]), r"width=\[4, 0\]"),
        (lambda: SpinalHead(3, cells=True).build((None, 2, 3, 5)), r"3, 5\), sub_layers=4"),
        (lambda: SpinalHead(3, cells=True).build((None, 8)), r"8\), sub_layers=4"),
        (lambda: ProgressiveHead(3, sub_layers=0), "sub_layers=0"),
        (lambda: ProgressiveHead(3, width=0), "width=0"),
        (lambda: LinearHead(3).build((None, None, 4)), r"shape=\(None, None, 4\)"),
    ],
)
def test_what_cannot_be_a_head_is_refused(wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"Received: .*{message}"):
        wrong()


def test_a_head_s_file_names_only_what_is_not_as_ever() -> None:
    """Heads of the first kind keep their files to the byte."""
    assert "cells" not in SpinalHead(3).get_config()
    assert "spinal_part" not in MatchedHead(3).get_config()
    assert DenseHead(3, width=5).get_config()["width"] == 5


def test_params_give_every_head_the_same_dropout_and_norm(
    make_params: Callable[..., Params],
) -> None:
    widths = {"dense_width": 11, "spinal_width": 5, "progressive_width": 6}
    chosen = {"dropout": 0.25, "sub_layers": 3, **widths}
    params = make_params({f"train.{key}": value for key, value in chosen.items()}).train
    heads = {name: build_head(name, params, 7, seed=3, initialisation="keras") for name in NAMES}
    shared: dict[str, Any] = {
        "classes": 7,
        "dropout": 0.25,
        "batch_norm": params.batch_norm,
        "seed": 3,
    }
    shared |= {"initialisation": "keras", "name": "head", "dtype": "float32"}
    own: dict[str, dict[str, Any]] = {
        "dense": {"width": 11},
        "spinal": {"width": 5, "sub_layers": 3},
        "linear": {},
        "matched": {"spinal_width": 5, "sub_layers": 3},
        "progressive": {"width": 6, "sub_layers": 3},
    }
    for (name, head), kind in zip(heads.items(), KINDS, strict=True):
        assert type(head) is kind
        config = head.get_config()
        config["dtype"] = head.compute_dtype
        assert {key: config[key] for key in [*shared, *own[name]]} == {**shared, **own[name]}


def test_every_head_of_the_params_can_be_built() -> None:
    assert set(NAMES) == set(get_args(Head))
