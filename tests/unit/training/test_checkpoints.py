"""Stopped anywhere and started again equals never stopped, to the bit."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quickspine import files
from quickspine.dataset.records.reader import RecordSet
from quickspine.errors import NoSpaceError
from quickspine.nets.backbones.layers import convolution
from quickspine.nets.backbones.layers.winograd import convolution as winograd
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Params
from quickspine.signals import STOPPING, Stopped, stop_by_exception
from quickspine.training import checkpoints, devices, loop, scratch, step
from quickspine.training.checkpoints import Checkpoint, Checkpoints, State
from quickspine.training.devices import Device
from quickspine.training.features import shuffled
from quickspine.training.loop import Fitted, Task, fit
from quickspine.training.model_file import save
from quickspine.training.optimizers import MomentumSGD, adam
from quickspine.training.progress import Epoch, Progress
from quickspine.training.schedules import Plateau, RandomRestart

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]
STEPS, EPOCHS = 3, 5
FACTS = {"params": "p", "data": "d", "code": "c", "versions": "v", "device": "CPU"}


class KilledError(BaseException):
    """Stands for SIGKILL: nothing that handles an error handles this one."""


@dataclass
class Bench:
    """One training that can be started, killed and started again."""

    device: Device
    rows: Rows
    labels: Labels
    path: Path
    facts: dict[str, str] = field(default_factory=lambda: dict(FACTS))
    reported: list[Epoch] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)  # of the task

    def task(self, *, kept: bool = True) -> Task:
        keras.utils.clear_session(free_memory=False)  # that is a search for garbage
        inputs = keras.Input((6,))
        head = SpinalHead(
            3, width=4, sub_layers=2, dropout=0.4, batch_norm=True, seed=5, name="head"
        )
        batches = shuffled(self.rows, self.labels, 5, seed=2, epochs=EPOCHS)
        task = Task(
            name="tiny",
            model=keras.Model(inputs, head(inputs)),
            training=batches,
            validation=tf.data.Dataset.from_tensor_slices((self.rows, self.labels)).batch(4),
            steps=STEPS,
            epochs=EPOCHS,
            schedule=Plateau(0.2, 1, 0.5, warmup=2),
            seed=2,
            early_stopping=3,
            checkpoint=Checkpoint("tiny", self.path, self.facts) if kept else None,
        )
        return replace(task, **{name: made() for name, made in self.changes.items()})

    def run(self, *, kept: bool = True) -> Fitted:
        self.reported = []
        return fit(self.task(kept=kept), self.device, self.reported.append)

    def killed(self, step: int) -> None:
        """Run until a step (from 0), which kills it."""
        with raised_at(step, kill), pytest.raises(KilledError):
            self.run()

    def state(self) -> State:
        task, optimizer = self.task(), adam(0.1)
        optimizer.build(task.model.trainable_variables)
        return State(task.model, optimizer, task.schedule)

    def restored(self) -> Progress | None:
        return Checkpoint("tiny", self.path, self.facts).restore(self.state())


@pytest.fixture(scope="module")
def rows() -> Rows:
    """float32 [15, 6], of a seed whose course does not hang on the last bits."""
    return np.random.default_rng(8).normal(size=(15, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def labels() -> Labels:
    return np.random.default_rng(1).integers(0, 3, 15)


@pytest.fixture
def bench(cpu: Device, rows: Rows, labels: Labels, tmp_path: Path) -> Bench:
    return Bench(cpu, rows, labels, tmp_path / "tiny.checkpoint")


@pytest.fixture(scope="module")
def whole(cpu: Device, rows: Rows, labels: Labels) -> Fitted:
    """The training as it is when nothing disturbs it."""
    return Bench(cpu, rows, labels, Path("unused")).run(kept=False)


def check_same(found: Fitted, expected: Fitted) -> None:
    assert found.history == expected.history
    assert found.best == expected.best
    assert [w.tobytes() for w in found.weights] == [w.tobytes() for w in expected.weights]


@contextlib.contextmanager
def raised_at(call: int, error: Callable[[], Any]) -> Iterator[None]:
    """Before the given step of this process (from 0), something happens."""
    compiled, done = step.compiled_step, [0]

    def wrapped(model: Any, optimizer: Any, device: Device) -> Any:
        real = compiled(model, optimizer, device)

        def counted(batch: Any) -> Any:
            if done[0] == call:
                error()
            done[0] += 1
            return real(batch)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "compiled_step", wrapped)
        yield


def kill() -> None:
    raise KilledError


def test_the_course_is_worth_testing(whole: Fitted) -> None:
    """Early stopping ends it, the plateau is reached twice, and the last epoch is not the best."""
    assert len(whole.history) == EPOCHS - 1
    assert [entry["learning_rate"] for entry in whole.history] == [0.2, 0.2, 0.1, 0.05]
    assert whole.best == whole.history[0]


@pytest.mark.slow
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, STEPS * EPOCHS - 1), min_size=1, max_size=3), st.booleans())
@example([1, 1, 1], True)
@example([STEPS, 0, STEPS - 1], False)
@example([3 * STEPS + 1], False)
def test_killed_at_any_steps_equals_never_killed(
    bench: Bench, whole: Fitted, steps: list[int], within_epochs: bool
) -> None:
    """SIGKILL, several times in a row, with a checkpoint after every step or epoch."""
    bench.path.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "EVERY_S", 0.0 if within_epochs else 1e9)
        for number in steps:
            with raised_at(number, kill), contextlib.suppress(KilledError):
                check_same(bench.run(), whole)
        check_same(bench.run(), whole)
    assert bench.reported == whole.history  # every epoch is told, whoever ran it


@pytest.mark.parametrize(
    ("at", "number"), [(1, signal.SIGTERM), (4, signal.SIGINT), (11, signal.SIGTERM)]
)
def test_a_signal_loses_no_step(
    bench: Bench, whole: Fitted, number: signal.Signals, at: int
) -> None:
    """The step that goes on is finished, then there is a checkpoint, then it stops."""
    before = {each: signal.getsignal(each) for each in STOPPING}
    stop_by_exception()
    try:
        with raised_at(at, lambda: signal.raise_signal(number)), pytest.raises(Stopped):
            bench.run()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    state = bench.state()
    progress = Checkpoint("tiny", bench.path, FACTS).restore(state)
    assert progress is not None
    assert (progress.epoch, progress.steps) == divmod(at + 1, STEPS) or progress.steps == STEPS
    assert progress.epoch * STEPS + progress.steps == at + 1
    assert int(state.optimizer.iterations.numpy()) == at + 1
    check_same(bench.run(), whole)


def test_what_was_torn_is_not_kept(
    bench: Bench, whole: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt between a step and the note of it, where nothing holds signals back."""

    compiled = step.compiled_step

    def torn(model: Any, optimizer: Any, device: Device) -> Any:
        real = compiled(model, optimizer, device)

        def one(batch: Any) -> Any:
            result = real(batch)
            if int(optimizer.iterations.numpy()) == 2 * STEPS + 2:
                raise KeyboardInterrupt
            return result

        return one

    monkeypatch.setattr(loop, "compiled_step", torn)
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    monkeypatch.undo()
    progress = bench.restored()
    assert progress is not None
    assert (progress.epoch, progress.steps) == (2, 0)  # the one at the end of the epoch
    check_same(bench.run(), whole)


def test_a_signal_while_validating_loses_no_step(
    bench: Bench, whole: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored, calls = step.score, [0]

    def score(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return scored(*given)

    monkeypatch.setattr(loop, "score", score)
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    progress = bench.restored()
    assert progress is not None
    assert (progress.epoch, progress.steps) == (1, STEPS)
    check_same(bench.run(), whole)


@pytest.mark.parametrize("moment", ["half written", "before the rename", "after the rename"])
@pytest.mark.parametrize("write", [1, 5])
def test_killed_while_a_checkpoint_is_written(
    bench: Bench, whole: Fitted, monkeypatch: pytest.MonkeyPatch, moment: str, write: int
) -> None:
    """The one before is there, or the new one; never half of one."""
    replaced, writes = Path.replace, [0]
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)

    def replace_or_die(self: Path, target: Path) -> Path:
        writes[0] += 1
        if writes[0] != write:
            return replaced(self, target)
        if moment == "half written":
            self.write_bytes(self.read_bytes()[:100])
        if moment == "after the rename":
            replaced(self, target)
        raise KilledError

    monkeypatch.setattr(Path, "replace", replace_or_die)
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # the dead do not tidy
    with pytest.raises(KilledError):
        bench.run()
    assert bench.path.exists() == (write > 1 or moment == "after the rename")
    monkeypatch.undo()
    check_same(bench.run(), whole)
    assert [path.name for path in bench.path.parent.iterdir()] == [bench.path.name]


def test_killed_between_checkpoint_and_report(bench: Bench, whole: Fitted) -> None:
    def die(entry: Epoch) -> None:
        if entry["epoch"] == 2:
            raise KilledError

    with pytest.raises(KilledError):
        fit(bench.task(), bench.device, die)
    check_same(bench.run(), whole)
    assert bench.reported == whole.history


def test_a_finished_training_is_not_trained_again(
    bench: Bench, whole: Fitted, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run()
    with raised_at(0, kill):
        check_same(bench.run(), whole)
    assert "tiny: going on from its checkpoint, at epoch 5, step 1" in capsys.readouterr().out


@pytest.mark.parametrize("fact", sorted(FACTS))
def test_another_training_starts_afresh_and_says_why(
    bench: Bench, whole: Fitted, fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.killed(7)
    bench.facts[fact] = "other"
    capsys.readouterr()
    assert bench.restored() is None
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"tiny: its checkpoint was made with other {fact}; starting afresh\n"


def test_a_damaged_checkpoint_starts_afresh_and_says_so(
    bench: Bench, whole: Fitted, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.killed(7)
    sound = bench.path.read_bytes()
    state = bench.state()
    before = [w.numpy().tobytes() for kind in state.variables().values() for w in kind]
    damaged = [sound[:n] for n in (0, 10, 31, 32, 33, len(sound) // 2, len(sound) - 1)]
    for place in np.linspace(0, len(sound) - 1, 50).astype(int):
        flipped = bytearray(sound)
        flipped[place] ^= 0x10
        damaged.append(bytes(flipped))
    for content in damaged:
        bench.path.write_bytes(content)
        assert Checkpoint("tiny", bench.path, FACTS).restore(state) is None
        assert "is damaged; starting afresh" in capsys.readouterr().err
    after = [w.numpy().tobytes() for kind in state.variables().values() for w in kind]
    assert after == before
    check_same(bench.run(), whole)


def test_a_pickle_in_a_checkpoint_is_never_loaded(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where the digest is right: object arrays are refused, and nothing in them runs."""
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> Any:
            return Path.touch, (ran,)

    content = tmp_path / "payload.npz"
    np.savez(content, told=np.array([Payload()], object))
    raw = content.read_bytes()
    bench.path.write_bytes(hashlib.sha256(raw).digest() + raw)
    assert bench.restored() is None
    assert "damaged" in capsys.readouterr().err
    assert not ran.exists()


def test_a_full_disk_keeps_the_checkpoint_before(
    bench: Bench, whole: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    synced, calls = files._sync, [0]

    def full(path: Path) -> None:
        calls[0] += 1
        if calls[0] > 8:
            raise OSError(28, "No space left on device", str(path))
        synced(path)

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(NoSpaceError, match="No space left"):
        bench.run()
    monkeypatch.undo()
    check_same(bench.run(), whole)


def test_too_little_room_is_said_before_the_first_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    with raised_at(0, kill), pytest.raises(NoSpaceError, match="smaller network"):
        bench.run()
    assert not bench.path.exists()


# --- what the stages make of it ---------------------------------------------------------------


def test_every_fact_tells_trainings_apart(
    cpu: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what changes the arithmetic: threads, oneDNN's switches, instruction sets."""
    facts = {"stage": "train", "params_digest": "p", "data_digest": "d"}
    facts |= {"head": "spinal", "seed": "1"}

    def made(device: Device = cpu, **changes: str) -> dict[str, str]:
        return Checkpoints("train-spinal-1", tmp_path).of("train", device, facts | changes).facts

    usual = made()
    assert made() == usual
    others = [
        made(params_digest="q"),
        made(data_digest="e"),
        made(replace(cpu, precision="bfloat16")),
        made(replace(cpu, name="1 GPU")),
        made(head="dense"),
        made(seed="2"),
    ]
    for name, value in (("TF_NUM_INTRAOP_THREADS", "7"), ("TF_ENABLE_ONEDNN_OPTS", "0")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            others.append(made())
    monkeypatch.setattr(devices, "cpu_flags", lambda: {"avx2"})
    others.append(made())
    changed = [{name for name in usual if other[name] != usual[name]} for other in others]
    assert changed == [
        *({"params"}, {"data"}, {"device"}, {"device"}, {"code", "head"}, {"seed"}),
        *({"threads"}, {"oneDNN and XLA switches"}, {"instruction sets"}),
    ]


def test_a_stage_has_a_checkpoint_a_phase_until_its_outputs_are_there(
    tmp_path: Path, cpu: Device
) -> None:
    stage = Checkpoints("finetune-dense-2", tmp_path)
    facts = {"stage": "finetune", "params_digest": "p", "data_digest": "d"}
    for phase in ("head", "blocks"):
        made = stage.of(phase, cpu, {**facts, "head": "dense", "seed": 2})
        assert made.path == tmp_path / f"finetune-dense-2-{phase}.checkpoint"
        made.path.touch()
    told = [stage.resumed]
    made.resumed = "epoch 2, step 1"
    assert [*told, stage.resumed] == [None, "finetune-dense-2-blocks epoch 2, step 1"]
    stage.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_training_in_bfloat16_goes_on_to_the_same_file(
    small: Params,
    records: RecordSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole network, by every way that its convolutions take."""
    monkeypatch.setattr(convolution, "WINOGRAD", ((1, 4),))  # narrow maps have it too
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    ways: dict[str, int] = {"_direct": 0, "_small": 0, "convolve": 0}

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def way(*given: Any) -> Any:
            ways[name] += 1
            return real(*given)

        return way

    for name, module in (("_direct", convolution), ("_small", convolution), ("convolve", winograd)):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    low = small.train.model_copy(update={"precision": "bfloat16"})
    params = small.model_copy(update={"train": low})

    def train(name: str) -> bytes:
        device = devices.prepare(params.train, 1)
        assert device.tuned
        kept = Checkpoints(name, tmp_path)
        outcome = scratch.train(
            params, "spinal", 1, records, device, lambda phase, entry: None, kept
        )
        save(outcome.model, tmp_path / f"{name}.keras")
        return (tmp_path / f"{name}.keras").read_bytes()

    whole = train("whole")
    assert ways["convolve"] >= 7
    assert ways["_small"] >= 3
    with raised_at(3, kill), pytest.raises(KilledError):
        train("struck")
    capsys.readouterr()
    assert train("struck") == whole
    assert "going on from its checkpoint, at epoch 2, step 2" in capsys.readouterr().out


@pytest.mark.slow
def test_descent_and_restarts_go_on_with_the_same_bits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Momentum is part of a checkpoint; what is drawn after an epoch is the same."""
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    bench.changes = {
        "schedule": lambda: RandomRestart(0.5, 3, "train", warmup=2),
        "optimizer": lambda: partial(MomentumSGD, momentum=0.9),
        "early_stopping": lambda: None,
    }
    whole = bench.run(kept=False)
    rates = [entry["learning_rate"] for entry in whole.history]
    assert len(set(rates)) > 2  # it did restart
    for call in (4, 5):  # in an epoch, and between two
        bench.killed(call)
    check_same(bench.run(), whole)
