"""How long training waits for its input."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from quickspine.bench.reading import Rounds, Tell
from quickspine.dataset.records.reader import RecordSet
from quickspine.params import Params


@dataclass
class _Watch:
    """Stands between the training loop and its input, and looks at the clock.

    Told when an input begins to be built, and when an epoch's steps are done.
    """

    begun: float | None = None  # when the epoch began; None: it has not
    waited: float = 0.0  # seconds of it
    shares: list[float] = field(default_factory=list)

    def seen(self, batches: Iterator[Any]) -> Generator[Any, None, None]:
        """The same batches."""
        asked = self.begun = self.begun or time.perf_counter()  # building it is waiting too
        while (batch := next(batches, None)) is not None:
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()
            self.begun = self.begun or asked

    def epoch_ended(self) -> None:
        """All its steps are done."""
        if self.begun is not None:
            self.shares.append(self.waited / (time.perf_counter() - self.begun))
        self.begun, self.waited = None, 0.0


@dataclass(frozen=True)
class _Validation:
    """A dataset that tells when it is begun: the steps of the epoch are done then."""

    data: Any
    watch: _Watch

    def __iter__(self) -> Iterator[Any]:
        self.watch.epoch_ended()
        return iter(self.data)


@dataclass(frozen=True)
class _Watched(RecordSet):
    """Records that tell when the input begins to be built, and when an epoch is validated."""

    watch: _Watch = field(default_factory=_Watch)

    def shuffled(self, *args: Any, **named: Any) -> Any:
        self.watch.begun = time.perf_counter()
        return super().shuffled(*args, **named)

    def ordered(self, *args: Any, **named: Any) -> Any:
        return _Validation(super().ordered(*args, **named), self.watch)


def waiting(
    params: Params, records: RecordSet, tell: Tell, *, width: float, rounds: int = 5
) -> Rounds:
    """The share of its epochs in which the training loop waits for input, with params' train.

    A round is an epoch after the first, which compiles, and for which the input of all is built and
    started. Counted is every wait for a batch, that between two epochs included.

    Args:
        params: the whole of params.yaml.
        records: what is trained on.
        tell: hears of every step.
        width: of the network.
        rounds: epochs that are measured.
    """
    import keras

    from quickspine.training import devices, scratch

    class Watched(devices.Device):
        def batches(self, data: Any) -> Generator[Any, None, None]:
            return watch.seen(super().batches(data))

    keras.utils.clear_session()
    chosen = params.train.model_copy(update={"width": width, "epochs": rounds + 1})
    device = devices.prepare(chosen, seed=1)
    watch = _Watch()
    watched = _Watched(records.folder, records.manifest, records.pieces, records.pictures, watch)
    name = f"width {width:g}, {device.precision}"
    tell(f"training to see how long it waits, {name}")
    scratch.train(
        params.model_copy(update={"train": chosen}),
        "spinal",
        1,
        watched,
        Watched(**vars(device)),
        lambda entry: tell(f"{name}, epoch {entry['epoch']}"),
    )
    return {name: watch.shares[1:]}
