"""Augmentation: the geometry is right, and (seed, epoch, place) alone decides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quickspine.dataset.augment import augmented, random_maps, transform
from quickspine.dataset.augment.maps import (
    random_affine,
    random_crop,
    random_flip,
    random_perspective,
    random_resized_crop,
)
from quickspine.dataset.records.reader import steady
from quickspine.errors import InputError
from quickspine.params import Augment

Images = NDArray[np.uint8]
NOTHING = Augment(rotation=0, shift=0, zoom=0)
USUAL = Augment(rotation=10, shift=0.07, zoom=0.1)
TILTED = Augment(rotation=0, shift=0, zoom=0, perspective=0.5)
EVERYTHING = Augment(rotation=10, shift=0.07, zoom=0.1, perspective=0.5)
PAPER = Augment(
    rotation=10,
    shift=0,
    zoom=0,
    perspective=0.5,
    perspective_probability=0.5,
    resized_crop=0.9,
    crop=4,
    flip=True,
)
KEY = tf.constant([1, 2], tf.int64)
AFFINE = [  # of KEY and the usual bounds: rows of a0 a1 a2, b0 b1 b2 and zeros
    [1.0912905, -0.1316975, -0.3483044, 0.1316975, 1.0912905, -4.551116, 0, 0],
    [0.9319035, 0.1005640, 0.1471242, -0.1005640, 0.9319035, 0.5723524, 0, 0],
]


def dots(*places: tuple[int, int], side: int = 15) -> Images:
    """One image with a dot at each (x, y): [1, side, side, 1]."""
    images = np.zeros((1, side, side, 1), np.uint8)
    for x, y in places:
        images[0, y, x] = 255
    return images


def affines(params: Augment, count: int = 2000, side: int = 28) -> NDArray[np.float64]:
    key = tf.constant([1, 2], tf.int64)
    images = tf.zeros((count, side, side, 1), tf.uint8)
    return np.asarray(random_affine(images, params, key), np.float64)


def discs(count: int = 64) -> Images:
    """Soft discs somewhere near the middle of 28 × 28 pixels."""
    generator = np.random.default_rng(0)
    middle = generator.uniform(11, 16, (count, 2))
    down, right = np.mgrid[:28, :28]
    away = np.hypot(right - middle[:, :1, None], down - middle[:, 1:, None])
    images: Images = (np.clip(5 - away, 0, 1) * 255).astype(np.uint8)[..., None]
    return images


def dataset(images: Images, size: int = 16) -> Any:
    labels = np.arange(len(images), dtype=np.int64)
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)


def run(data: Any) -> tuple[Images, NDArray[np.int64]]:
    batches = [(images.numpy(), labels.numpy()) for images, labels in data]
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return images, labels


def test_without_bounds_nothing_changes() -> None:
    data = dataset(discs())
    assert augmented(data, NOTHING, seed=1, epoch=0) is data
    still = affines(NOTHING)
    np.testing.assert_array_equal(still, np.tile([1, 0, 0, 0, 1, 0, 0, 0], (len(still), 1)))
    noise = np.random.default_rng(0).integers(0, 256, (len(still), 28, 28, 1), dtype=np.uint8)
    np.testing.assert_array_equal(transform(noise, tf.constant(still, tf.float32)), noise)


@pytest.mark.parametrize(
    ("affine", "before", "after"),
    [
        ([1, 0, 3, 0, 1, -2, 0, 0], [(7, 7)], [(4, 9)]),  # a dot goes the other way
        ([1, 0, 5, 0, 1, 0, 0, 0], [(3, 7), (14, 7)], [(9, 7)]),  # black enters
        ([0, -1, 14, 1, 0, 0, 0, 0], [(11, 7)], [(7, 3)]),  # 90 degrees about (7, 7)
    ],
    ids=["shift", "leave", "turn"],
)
def test_a_map_leads_from_output_to_input_pixels(
    affine: list[float], before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    moved = np.asarray(transform(dots(*before), tf.constant([affine], tf.float32)))
    assert moved.dtype == np.uint8
    np.testing.assert_array_equal(moved, dots(*after))


def test_maps_are_those_of_every_version() -> None:
    """Images without perspective are what they were before it came; the key alone decides."""
    images = tf.zeros((2, 28, 28, 1), tf.uint8)
    found = np.asarray(random_maps(images, USUAL, KEY))
    np.testing.assert_allclose(found, AFFINE, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found, random_affine(images, USUAL, KEY))


def test_shifts_stay_in_their_bounds_and_use_them() -> None:
    found = affines(Augment(rotation=0, shift=0.25, zoom=0))
    np.testing.assert_array_equal(found[:, [0, 1, 3, 4]], np.tile([1, 0, 0, 1], (len(found), 1)))
    for offset in found[:, [2, 5]].T:
        assert -7 <= offset.min() < -6.8
        assert 6.8 < offset.max() <= 7
        assert abs(offset.mean()) < 5 * 7 / math.sqrt(3 * len(offset))
    assert abs(np.corrcoef(found[:, 2], found[:, 5])[0, 1]) < 5 / math.sqrt(len(found))


def test_rotations_stay_in_their_bounds_and_turn_about_the_centre() -> None:
    found = affines(Augment(rotation=30, shift=0, zoom=0), side=15)
    angles = np.degrees(np.arctan2(found[:, 3], found[:, 0]))
    assert -30 <= angles.min() < -29
    assert 29 < angles.max() <= 30
    np.testing.assert_allclose(np.hypot(found[:, 0], found[:, 3]), 1, atol=1e-5)
    middle = np.stack(
        [
            found[:, 0] * 7 + found[:, 1] * 7 + found[:, 2],
            found[:, 3] * 7 + found[:, 4] * 7 + found[:, 5],
        ]
    )
    np.testing.assert_allclose(middle, 7, atol=1e-4)


def test_zooms_stay_in_their_bounds_in_and_out_alike() -> None:
    found = affines(Augment(rotation=0, shift=0, zoom=0.5))
    scales = found[:, 0]
    assert 1 / 1.5 <= scales.min() < 0.69
    assert 1.48 < scales.max() <= 1.5
    assert abs(np.median(scales) - 1) < 0.05
    np.testing.assert_allclose(found[:, 0], found[:, 4])
    np.testing.assert_allclose(found[:, 2], 13.5 * (1 - scales), atol=1e-4)


@pytest.mark.parametrize("params", [USUAL, TILTED, PAPER], ids=["usual", "tilted", "paper"])
def test_seed_epoch_and_place_alone_decide(params: Augment) -> None:
    images = np.repeat(discs(1), 64, axis=0)

    def result(seed: int, epoch: int) -> Images:
        return run(augmented(dataset(images), params, seed=seed, epoch=epoch))[0]

    chosen = result(1, 3)
    tf.random.set_seed(99)
    np.testing.assert_array_equal(result(1, 3), chosen)
    data = augmented(dataset(images), params, seed=1, epoch=3).prefetch(4).with_options(steady())
    np.testing.assert_array_equal(run(data)[0], chosen)
    np.testing.assert_array_equal(run(data)[0], chosen)  # the second time too
    for other in (result(1, 4), result(2, 3), np.roll(chosen, 16, axis=0)):
        assert (other != chosen).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 9, 17, 1), (1, 8, 8, 3), (5, 1, 1, 1)])
@pytest.mark.parametrize("params", [USUAL, EVERYTHING], ids=["usual", "everything"])
def test_any_size_and_number_of_channels(shape: tuple[int, ...], params: Augment) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    after, _ = run(augmented(dataset(images), params, seed=1, epoch=0))
    assert after.shape == shape
    assert after.dtype == np.uint8


def through(maps: Any, places: Any) -> NDArray[np.float64]:
    """Where maps ([n, 3, 3]) lead places ([n, m, 2]): [n, m, 2]."""
    places = np.asarray(places, np.float64)
    points = np.concatenate([places, np.ones((*places.shape[:-1], 1))], axis=-1)
    found = np.einsum("nij,nmj->nmi", np.asarray(maps, np.float64), points)
    ends: NDArray[np.float64] = found[..., :2] / found[..., 2:]
    return ends


@pytest.mark.parametrize("share", [0.1, 0.5, 0.6])
@pytest.mark.parametrize(("height", "width"), [(28, 28), (9, 400)])
def test_each_corner_moves_inward_by_itself_within_its_bounds(
    share: float, height: int, width: int
) -> None:
    """Against the eight equations of each drawing, solved one by one."""
    images = tf.zeros((500, height, width, 1), tf.uint8)
    chosen = TILTED.model_copy(update={"perspective": share})
    found = np.asarray(random_perspective(images, chosen, KEY))
    sides = np.array([width, height])
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * sides - 0.5
    moved = through(np.linalg.inv(found), np.tile(corners, (500, 1, 1)))
    inward = np.abs(moved - corners) / (sides / 2)
    middle = (sides - 1) / 2
    assert (np.abs(moved - middle) <= np.abs(corners - middle) + 1e-6).all()
    assert inward.max() <= share + 1e-6
    assert (inward.max(axis=0) > 0.98 * share).all()
    assert (inward.min(axis=0) < 0.02 * share).all()
    correlations = np.corrcoef(inward.reshape(500, 8).T) - np.eye(8)
    assert np.abs(correlations).max() < 5 / math.sqrt(500)
    # The mapped image keeps its sense: no corner passes the line between its neighbours.
    before, behind = np.roll(moved, 1, axis=1), np.roll(moved, -1, axis=1)
    one, two = moved - before, behind - moved
    assert (one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0] > 0).all()
    for number in range(20):
        equations, ends = [], []
        for (x, y), (to_x, to_y) in zip(moved[number], corners, strict=True):
            equations.append([x, y, 1, 0, 0, 0, -x * to_x, -y * to_x])
            equations.append([0, 0, 0, x, y, 1, -x * to_y, -y * to_y])
            ends += [to_x, to_y]
        solved = np.append(np.linalg.solve(equations, ends), 1).reshape(3, 3)
        np.testing.assert_allclose(found[number] / found[number, 2, 2], solved, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 3])
def test_epochs_behind_one_another_are_changed_as_each_by_itself(steps: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (16 * steps, 28, 28, 1), dtype=np.uint8)
    data = dataset(images, 16)
    alone = [run(augmented(data, EVERYTHING, seed=3, epoch=epoch))[0] for epoch in range(2, 5)]
    found, _ = run(augmented(data.repeat(3), EVERYTHING, seed=3, epoch=2, epochs=3, steps=steps))
    np.testing.assert_array_equal(found, np.concatenate(alone))
    assert len({images.tobytes() for images in alone}) == 3


def cropped(padding: int, **more: Any) -> Augment:
    return NOTHING.model_copy(update={"crop": padding, **more})


sizes = st.tuples(
    st.integers(1, 40), st.integers(4, 12), st.integers(4, 12), st.sampled_from([1, 3])
)


@settings(max_examples=15)
@given(shape=sizes, padding=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 2**31 - 1))
def test_crop_and_flip_are_exactly_what_numpy_cuts_out(
    shape: tuple[int, ...], padding: int, flip: bool, seed: int
) -> None:
    """Every result is one of those that padding, slicing and mirroring can give, to the byte."""
    images = np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)
    params, key = cropped(padding, flip=flip), tf.constant([seed, 3], tf.int64)
    maps = np.asarray(random_maps(images, params, key))
    found = np.asarray(transform(images, tf.constant(maps)))
    _, height, width, _ = shape
    framed = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    for image, frame, (across, _, x, _, _, y, _, _) in zip(found, framed, maps, strict=True):
        mirrored = across == -1
        left, top = int(x - (width - 1) * mirrored), int(y)
        assert max(abs(left), abs(top)) <= padding
        assert flip or not mirrored
        cut = frame[top + padding :, left + padding :][:height, :width]
        # A flipped one was cropped before: its columns are those of the cut, from the last on.
        np.testing.assert_array_equal(image, cut[:, ::-1] if mirrored else cut)


def test_crops_are_anywhere_and_half_of_the_drawings_are_flipped() -> None:
    count, padding = 4000, 4
    images = tf.zeros((count, 32, 48, 3), tf.uint8)
    crops = np.asarray(random_crop(images, cropped(padding), KEY))[:, :2, 2]
    for moves in crops.T:
        each, times = np.unique(moves, return_counts=True)
        np.testing.assert_array_equal(each, np.arange(-padding, padding + 1))
        assert np.abs(times - count / 9).max() < 5 * math.sqrt(count / 9)
    assert abs(np.corrcoef(crops.T)[0, 1]) < 5 / math.sqrt(count)
    flips = np.asarray(random_flip(images, cropped(0, flip=True), KEY))
    assert abs((flips[:, 0, 0] == -1).sum() - count / 2) < 5 * math.sqrt(count) / 2
    assert set(flips[:, 0, 2]) == {0, 47}
    tilts = np.asarray(
        random_perspective(images, TILTED.model_copy(update={"perspective_probability": 0.3}), KEY)
    )
    still = (tilts == np.eye(3)).all(axis=(1, 2))
    assert abs((~still).sum() - 0.3 * count) < 5 * math.sqrt(count * 0.21)
    every = np.asarray(random_perspective(images, TILTED, KEY))
    np.testing.assert_array_equal(tilts[~still], every[~still])  # which, and nothing else
    assert not (every == np.eye(3)).all(axis=(1, 2)).any()


@pytest.mark.parametrize("smallest", [0.05, 0.5, 0.95])
@pytest.mark.parametrize(("height", "width"), [(28, 28), (20, 60)])
def test_a_resized_crop_shows_a_part_of_the_drawing_at_full_size(
    smallest: float, height: int, width: int
) -> None:
    images = tf.zeros((2000, height, width, 1), tf.uint8)
    maps = np.asarray(random_resized_crop(images, cropped(0, resized_crop=smallest), KEY))
    last = np.array([width, height]) - 1
    first = through(maps, np.zeros((2000, 1, 2)))[:, 0]
    end = through(maps, np.tile(last, (2000, 1, 1)))[:, 0]
    assert (first >= -1e-9).all()
    assert (end <= last + 1e-9).all()
    shares = (end - first + 1) / (last + 1)  # of each side, whole pixels at both ends
    areas, ratios = shares.prod(axis=1), shares[:, 0] / shares[:, 1]
    assert (areas > smallest - 1e-9).all()
    assert (areas < 1 + 1e-9).all()
    assert areas.mean() == pytest.approx((1 + smallest) / 2, abs=0.04)
    assert (np.abs(np.log(ratios)) <= math.log(4 / 3) + 1e-9).all()
    assert np.abs(np.log(ratios).mean()) < 0.02
    places = first / np.maximum(last - (end - first), 1e-9)
    assert places.mean() == pytest.approx(0.5, abs=0.03)
    for slack in places.T:
        assert slack.min() < 0.01
        assert slack.max() > 0.99


def test_nothing_black_is_mixed_into_a_resized_crop_and_colours_stay_apart() -> None:
    images = np.zeros((300, 17, 33, 3), np.uint8)
    images[..., 0], images[..., 2] = 255, 128
    changed = np.asarray(transform(images, random_maps(images, cropped(0, resized_crop=0.1), KEY)))
    # Maps are rounded to float32 and pixels down: a whole pixel may be 254.99 at the edge.
    assert np.abs(changed.astype(int) - images).max() <= 1
    assert (changed[..., 1] == 0).all()


def test_all_changes_together_are_one_map_in_their_order() -> None:
    params = EVERYTHING.model_copy(
        update={"perspective_probability": 0.5, "resized_crop": 0.8, "crop": 3, "flip": True}
    )
    images = tf.zeros((100, 28, 20, 3), tf.uint8)
    affine = np.asarray(random_affine(images, params, KEY), np.float64)
    steps = [
        random_flip(images, params, KEY),
        random_crop(images, params, KEY),
        random_resized_crop(images, params, KEY),
        np.append(affine, np.ones((100, 1)), axis=1).reshape(-1, 3, 3),
        random_perspective(images, params, KEY),
    ]
    whole = np.asarray(random_maps(images, params, KEY), np.float64)
    places = expected = np.random.default_rng(0).uniform(0, 19, (100, 10, 2))
    for step in steps:
        expected = through(step, expected)
    both = np.append(whole, np.ones((100, 1)), axis=1).reshape(-1, 3, 3)
    np.testing.assert_allclose(through(both, places), expected, rtol=1e-3, atol=1e-3)
    moves = [np.asarray(step).reshape(100, -1).std(axis=0).max() for step in steps]
    assert min(moves) > 0


def test_a_crop_that_may_leave_nothing_is_refused() -> None:
    data = dataset(np.zeros((4, 9, 8, 1), np.uint8))
    with pytest.raises(InputError, match=r"augment\.crop: 8 pixels, where images have 8"):
        augmented(data, cropped(8), seed=1, epoch=0)
    augmented(data, cropped(7), seed=1, epoch=0)
