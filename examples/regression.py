"""Is a spinal head better at regression? The toy experiment of arXiv 2007.03347, done again.

Four functions of eight variables, four heads, several seeds; docs/regression.md says what was
taken over and what was not. Run it from the project's folder: python -m examples.regression
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from examples import regression_report
from quickspine.dataset.records.seeds import derive
from quickspine.errors import InputError
from quickspine.nets.backbones.layers.head_block import HeadLayer, flat_size
from quickspine.nets.heads.matched import MatchedHead
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.training.model_file import parameters
from quickspine.training.optimizers import adam
from quickspine.training.schedules import Cosine

Floats = NDArray[np.float32]

VARIABLES = 8
NOISE = 0.2  # the target's noise is uniform from 0 to this, as in the authors' script

FUNCTIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "sum": lambda x: x.sum(axis=1),
    "sine of the sum": lambda x: np.sin(x.sum(axis=1)),
    "product": lambda x: x.prod(axis=1),
    "sine of the product": lambda x: np.sin(x.prod(axis=1)),
}


@dataclass(frozen=True)
class Budget:
    """The same for every head and function."""

    seeds: int = 8
    train: int = 1000  # examples, as in the authors' script
    validation: int = 1000
    test: int = 4000
    epochs: int = 100
    batch_size: int = 64  # examples a step; what is left over at the end of an epoch is skipped
    rates: tuple[float, ...] = (0.01, 0.003)  # of which validation chooses one a head


@dataclass(frozen=True)
class Split:
    """float32 [n, 8] and [n, 1]."""

    inputs: Floats
    targets: Floats


class DeepHead(HeadLayer):
    """Dense layers one after the other, each with ReLU, then a linear one: no gradual input."""

    def __init__(self, classes: int, *, widths: tuple[int, ...], **rest: Any) -> None:
        super().__init__(classes, **rest)
        self.widths = widths

    def build(self, shape: tuple[int | None, ...]) -> None:
        sizes = [flat_size(shape), *self.widths]
        for number, (fan_in, units) in enumerate(zip(sizes, self.widths, strict=False), 1):
            self.add(f"hidden{number}", units, fan_in, hidden=True)
        self.add("logits", self.classes, sizes[-1], hidden=False)
        super().build(shape)

    def call(self, features: Any, training: bool | None = None) -> Any:
        for number in range(1, len(self.widths) + 1):
            features = self.run(f"hidden{number}", features, training)
        return self.run("logits", features, training)


HEADS: dict[str, Callable[..., HeadLayer]] = {
    "spinal": functools.partial(SpinalHead, width=50, sub_layers=6),
    "dense": functools.partial(DeepHead, widths=(200, 100)),  # the authors' other network
    "deep": functools.partial(DeepHead, widths=(50,) * 6),  # the spinal head's width and depth
    "matched": functools.partial(MatchedHead, spinal_width=50, sub_layers=6),  # and its size
}


def draw(function: str, seed: int, budget: Budget) -> dict[str, Split]:
    """Examples of a function: equal for all heads, others for each seed.

    Inputs are standard normal. Targets carry noise but in the test split, where the question is
    how near a head came to the function: there they are its value plus the noise's mean.
    """
    splits = {}
    for name in ("train", "validation", "test"):
        random = np.random.default_rng(derive(seed, "regression", function, name))
        count = getattr(budget, name)
        inputs = random.standard_normal((count, VARIABLES))
        noise = NOISE / 2 if name == "test" else random.uniform(0, NOISE, count)
        # A column, as the predictions are: a flat one would be broadcast to [n, n].
        targets = (FUNCTIONS[function](inputs) + noise)[:, None]
        splits[name] = Split(inputs.astype(np.float32), targets.astype(np.float32))
    return splits


class Trainer:
    """Trains one head again and again, from other weights on other data, without new graphs."""

    def __init__(self, head: str, budget: Budget) -> None:
        self.head, self.budget = head, budget
        inputs = keras.Input((VARIABLES,))
        self.model = keras.Model(inputs, HEADS[head](1, name="head")(inputs))
        self.optimizer = adam(budget.rates[0])
        self.optimizer.build(self.model.trainable_variables)
        self.epoch = tf.function(self._epoch, jit_compile=True)
        self.error = tf.function(self._error)

    def fit(self, data: dict[str, Split], seed: int, rate: float) -> tuple[float, list[Floats]]:
        """Train, and return the smallest validation error and the weights of that epoch."""
        fresh = HEADS[self.head](1, seed=seed)
        fresh.build((None, VARIABLES))
        self.model.set_weights(fresh.get_weights())
        for variable in self.optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        schedule = Cosine(rate, self.budget.epochs)
        batches = self.budget.train // self.budget.batch_size
        best, weights = np.inf, self.model.get_weights()
        for epoch in range(self.budget.epochs):
            self.optimizer.learning_rate.assign(schedule.rate(epoch))
            order = np.random.default_rng(derive(seed, "order", epoch)).permutation(
                self.budget.train
            )
            rows = order[: batches * self.budget.batch_size].reshape(batches, -1)
            self.epoch(data["train"].inputs, data["train"].targets, rows)
            found = self.measure(data["validation"])
            if found < best:
                best, weights = found, self.model.get_weights()
        return best, weights

    def measure(self, split: Split) -> float:
        """Mean squared error."""
        return float(self.error(split.inputs, split.targets))

    def _epoch(self, inputs: Any, targets: Any, rows: Any) -> None:
        for batch in tf.range(tf.shape(rows)[0]):
            own = rows[batch]
            with tf.GradientTape() as tape:
                loss = self._error(tf.gather(inputs, own), tf.gather(targets, own))
            variables = self.model.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)

    def _error(self, inputs: Any, targets: Any) -> Any:
        predicted = self.model(inputs)
        predicted.shape.assert_is_compatible_with(targets.shape)
        return tf.reduce_mean(tf.square(predicted - targets))


def run(budget: Budget, functions: tuple[str, ...] = tuple(FUNCTIONS)) -> dict[str, Any]:
    """Train every head on every function with every seed, and compare; see docs/regression.md.

    Returns:
        Plain JSON types. `errors.<function>.<head>`: a number a seed, the mean squared error on
        the test split over the variance of its targets, so 0 is perfect and 1 is what a constant
        reaches. `rates.<function>.<head>`: the chosen learning rate.
    """
    errors: dict[str, dict[str, list[float]]] = {function: {} for function in functions}
    rates: dict[str, dict[str, float]] = {function: {} for function in functions}
    counts = {}
    total = len(HEADS) * len(functions) * budget.seeds * len(budget.rates)
    with tqdm(total=total, unit="training", disable=None) as bar:
        for head in HEADS:
            trainer = Trainer(head, budget)
            counts[head] = parameters(trainer.model)
            for function in functions:
                data = [draw(function, seed, budget) for seed in range(1, budget.seeds + 1)]
                fitted = {rate: list(_advanced(bar, trainer, data, rate)) for rate in budget.rates}
                # Over all seeds: the rate is a setting of the head, not of one training.
                rate = min(fitted, key=lambda r: np.mean([np.log(e) for e, _ in fitted[r]]))
                rates[function][head] = rate
                errors[function][head] = [
                    _tested(trainer, weights, splits["test"])
                    for splits, (_, weights) in zip(data, fitted[rate], strict=True)
                ]
    found = {"budget": asdict(budget), "parameters": counts, "rates": rates, "errors": errors}
    return {**found, "comparisons": regression_report.compared(errors)}


def _advanced(
    bar: Any, trainer: Trainer, data: list[dict[str, Split]], rate: float
) -> Iterator[tuple[float, list[Floats]]]:
    for seed, splits in enumerate(data, 1):
        yield trainer.fit(splits, seed, rate)
        bar.update()


def _tested(trainer: Trainer, weights: list[Floats], test: Split) -> float:
    trainer.model.set_weights(weights)
    return trainer.measure(test) / float(np.var(test.targets, dtype=np.float64))


def main(arguments: list[str] | None = None) -> int:
    """Write regression.json, regression.md and images/regression.svg; exit 0 done, 2 refused."""
    parser = argparse.ArgumentParser(prog="python -m examples.regression", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="a folder (docs)")
    parser.add_argument("--seeds", type=int, default=Budget.seeds, help="at least 2 (8)")
    parser.add_argument("--epochs", type=int, default=Budget.epochs, help="at least 1 (100)")
    asked = parser.parse_args(arguments)
    try:
        if asked.seeds < 2 or asked.epochs < 1:
            raise InputError(
                f"--seeds {asked.seeds} --epochs {asked.epochs}: an interval needs 2 seeds or "
                "more, a training 1 epoch or more"
            )
        results = run(Budget(seeds=asked.seeds, epochs=asked.epochs))
        written = regression_report.write(results, asked.out)
    except InputError as error:
        print(f"regression: {error}", file=sys.stderr)
        return 2
    print("\n".join(map(str, written)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
