"""The loop: which weights it keeps, when it ends, what decides its randomness."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.special import log_softmax

from quickspine.nets.heads.dense import DenseHead
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.training import loop
from quickspine.training.devices import Device
from quickspine.training.features import shuffled
from quickspine.training.loop import Fitted, Task, fit, reseed
from quickspine.training.progress import Epoch
from quickspine.training.schedules import Constant, Cosine, Plateau, Schedule
from quickspine.training.step import score

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]


def network(kind: Any = DenseHead, **settings: Any) -> keras.Model:
    inputs = keras.Input((6,))
    return keras.Model(inputs, kind(3, width=5, name="head", **settings)(inputs))


class Told:
    """Rows that tell when a fourth batch of them is asked for."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.shape = rows, rows.shape
        self.begun, self.batches = threading.Event(), 0

    def __getitem__(self, chosen: Any) -> Any:
        self.batches += 1
        if self.batches > 3:
            self.begun.set()
        return self.rows[chosen]


def task(
    model: keras.Model, rows: Rows, labels: Labels, *, epochs: int = 1, **changes: Any
) -> Task:
    data = tf.data.Dataset.from_tensor_slices((rows, labels))
    values: dict[str, Any] = {
        "training": lambda epoch: data.batch(5).repeat(),
        "validation": data.batch(4),
        "steps": 3,
        "schedule": Cosine(0.05, 3 * epochs),
        "seed": 1,
    }
    return Task(name="tiny", model=model, epochs=epochs, **{**values, **changes})


@pytest.fixture
def scripted(
    monkeypatch: pytest.MonkeyPatch, cpu: Device, rows: Rows, labels: Labels
) -> Callable[..., tuple[Fitted, list[Any]]]:
    """Trains with validation results that are written down, and remembers every epoch's weights."""

    def run(
        results: Sequence[tuple[float, float]], *, schedule: Schedule | None = None, **changes: Any
    ) -> tuple[Fitted, list[Any]]:
        left = iter(results)
        monkeypatch.setattr(loop, "score", lambda forward, data: next(left))
        model = network()
        weights: list[Any] = []
        made = task(
            model, rows, labels, epochs=len(results), schedule=schedule or Constant(0.01), **changes
        )
        return fit(made, cpu, lambda entry: weights.append(model.get_weights())), weights

    return run


def same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# --- which epoch is kept ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "best"),
    [
        ([(1.0, 0.5), (2.0, 0.7), (0.1, 0.6)], 2),  # accuracy counts, not the loss
        ([(1.0, 0.5), (0.9, 0.5), (0.8, 0.4), (0.95, 0.5)], 2),  # a tie: the lower loss
        ([(1.0, 0.5), (1.0, 0.5)], 1),  # a full tie: the earlier
        ([(1.0, 0.0)], 1),
    ],
)
def test_the_best_weights_by_validation_are_kept(
    scripted: Callable[..., tuple[Fitted, list[Any]]],
    results: list[tuple[float, float]],
    best: int,
) -> None:
    fitted, weights = scripted(results)
    assert fitted.best["epoch"] == best
    assert (fitted.best["val_loss"], fitted.best["val_accuracy"]) == results[best - 1]
    assert [same(fitted.weights, each) for each in weights].index(True) == best - 1
    assert len(fitted.history) == len(results)
    assert not same(weights[0], weights[-1]) or len(results) == 1


@pytest.mark.parametrize(
    ("accuracies", "losses", "ends"),
    [
        ([0.5, 0.6, 0.6, 0.5, 0.9], [1, 1, 1, 1, 1], 4),
        ([0.5, 0.6, 0.6, 0.6, 0.9], [5, 4, 3, 2, 1], 4),  # a better loss alone does not count
        ([0.5, 0.4, 0.6, 0.5, 0.7], [1, 1, 1, 1, 1], 5),
    ],
)
def test_early_stopping_waits_for_a_better_accuracy(
    scripted: Callable[..., tuple[Fitted, list[Any]]],
    accuracies: list[float],
    losses: list[float],
    ends: int,
) -> None:
    fitted, _ = scripted(list(zip(losses, accuracies, strict=True)), early_stopping=2)
    assert len(fitted.history) == ends


def test_the_schedule_hears_of_every_validation_loss(
    scripted: Callable[..., tuple[Fitted, list[Any]]],
) -> None:
    heard: list[float] = []
    schedule = Constant(0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "epoch_ended", heard.append)
        scripted([(3.0, 0.1), (2.0, 0.1), (4.0, 0.1)], schedule=schedule)
    assert heard == [3.0, 2.0, 4.0]
    fitted, _ = scripted([(1.0, 0.1)] * 3, schedule=Plateau(0.1, 1, 0.5))
    assert [entry["learning_rate"] for entry in fitted.history] == [0.1, 0.1, 0.05]


# --- steps ------------------------------------------------------------------------------------


def test_the_rate_of_every_step_comes_from_the_schedule(
    cpu: Device, rows: Rows, labels: Labels
) -> None:
    asked: list[int] = []

    class Noted(Constant):
        def rate(self, step: int) -> float:
            asked.append(step)
            return 0.0

    model = network()
    before = model.get_weights()
    fitted = fit(task(model, rows, labels, epochs=2, schedule=Noted(0)), cpu, lambda entry: None)
    assert asked[-6:] == [0, 1, 2, 3, 4, 5]
    assert same(fitted.weights, before)


def test_a_step_is_adam_as_pytorch_does_it(cpu: Device, rows: Rows, labels: Labels) -> None:
    """The first step of Adam moves each weight by rate · g / (|g| + eps)."""
    model = network()
    before = [w.numpy() for w in model.trainable_weights]
    with tf.GradientTape() as tape:
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(rows))
        loss = tf.reduce_mean(each)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    whole = tf.data.Dataset.from_tensors((rows, labels))
    made = task(model, rows, labels, training=lambda epoch: whole, steps=1, schedule=Constant(0.01))
    entry = fit(made, cpu, lambda entry: None).history[0]
    assert entry["loss"] == pytest.approx(float(loss), rel=1e-5)
    for was, now, gradient in zip(before, model.trainable_weights, gradients, strict=True):
        g = gradient.numpy().astype(np.float64)
        clear = np.abs(g) > 1e-4  # far above either epsilon
        moved = (now.numpy() - was)[clear]
        np.testing.assert_allclose(moved, -0.01 * np.sign(g[clear]), rtol=1e-2)


def test_an_epoch_reports_loss_accuracy_and_rate(cpu: Device, rows: Rows, labels: Labels) -> None:
    heard: list[Epoch] = []
    model = network()
    fitted = fit(task(model, rows, labels, epochs=3), cpu, heard.append)
    assert heard == fitted.history
    assert [entry["epoch"] for entry in heard] == [1, 2, 3]
    right = model(rows).numpy().argmax(axis=1) == labels
    assert heard[-1]["val_accuracy"] == pytest.approx(right.mean())
    assert all(round(entry["accuracy"] * 15) / 15 == entry["accuracy"] for entry in heard)
    assert heard[-1]["loss"] < heard[0]["loss"]
    assert math.isfinite(sum(heard[-1].values()))


@pytest.mark.parametrize(("bad", "rate"), [(np.inf, 0.01), (np.nan, 0.01), (None, 1e38)])
def test_a_loss_that_is_no_number_ends_it_clearly(
    cpu: Device, rows: Rows, labels: Labels, bad: float | None, rate: float
) -> None:
    rows[3, 2] = rows[3, 2] if bad is None else bad
    made = task(network(), rows, labels, epochs=3, schedule=Constant(rate))
    with pytest.raises(FloatingPointError, match=r"tiny: .* in epoch 1; lower the learning rate"):
        fit(made, cpu, lambda entry: None)


def test_a_compiled_step_trains_as_well(cpu: Device, rows: Rows, labels: Labels) -> None:
    compiled = Device(cpu.strategy, "CPU", "float32", "float32", False, compiled=True)
    found = [
        fit(task(network(), rows, labels), device, lambda entry: None) for device in (cpu, compiled)
    ]
    for plain, xla in zip(found[0].weights, found[1].weights, strict=True):
        np.testing.assert_allclose(plain, xla, rtol=1e-4, atol=1e-5)


def test_while_one_epoch_is_validated_the_input_of_the_next_is_read(
    cpu: Device, rows: Rows, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where TensorFlow is deterministic, which reads nothing ahead that has state."""
    tf.config.experimental.enable_op_determinism()
    asked, validated = list[int](), list[bool]()
    told: Any = Told(rows)
    given = shuffled(told, labels, 5, seed=1, epochs=2)

    def training(epoch: int) -> Any:
        asked.append(epoch)
        return given(epoch)

    def scored(*of: Any) -> Any:
        validated.append(told.begun.wait(60))
        return score(*of)

    monkeypatch.setattr(loop, "score", scored)
    fit(task(network(), rows, labels, epochs=2, training=training), cpu, lambda entry: None)
    assert validated == [True, True]
    assert asked == [0]


# --- randomness -------------------------------------------------------------------------------


def test_dropout_depends_on_seed_layer_and_epoch_alone(rows: Rows) -> None:
    model = network(SpinalHead, dropout=0.5, sub_layers=2)

    def masks() -> list[bytes]:
        ones = np.ones((4, 64), np.float32)
        drops = [layer for layer in model._flatten_layers() if "dropout" in layer.name]
        return [drop(ones, training=True).numpy().tobytes() for drop in drops]

    reseed(model, 1, 0)
    first = masks()
    assert len(set(first)) == 3  # spinal1, spinal2, logits
    assert masks() != first  # within an epoch it goes on
    model(rows, training=True)
    reseed(model, 1, 0)
    assert masks() == first
    for seed, epoch in ((1, 1), (2, 0)):
        reseed(model, seed, epoch)
        assert not set(masks()) & set(first)
    model = network(SpinalHead, dropout=0.5, sub_layers=2)
    reseed(model, 1, 0)
    assert masks() == first


# --- scores -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    logits=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.integers(2, 5)),
        elements=st.floats(-50, 50, width=32),
    ),
    batch=st.integers(1, 4),
    data=st.data(),
)
def test_scores_are_those_of_scipy_whatever_the_batches(
    logits: NDArray[np.float32], batch: int, data: st.DataObject
) -> None:
    count, classes = logits.shape
    labels = np.array(
        data.draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    )
    batches = tf.data.Dataset.from_tensor_slices((logits, labels)).batch(batch)
    loss, accuracy = score(tf.identity, batches)
    wide = log_softmax(logits.astype(np.float64), axis=1)
    assert loss == pytest.approx(-wide[np.arange(count), labels].mean(), rel=1e-6, abs=1e-9)
    assert accuracy == (logits.argmax(axis=1) == labels).mean()


def test_huge_logits_have_a_finite_loss() -> None:
    logits = np.array([[3e38, -3e38], [0, 1e4]], np.float32)
    data = tf.data.Dataset.from_tensors((logits, np.array([0, 1])))
    assert score(tf.identity, data) == (0, 1)
