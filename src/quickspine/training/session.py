"""One training as a stage runs it: data checked, device chosen, run tracked, outputs written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from quickspine.dataset import SPLITS
from quickspine.dataset.records.reader import RecordSet
from quickspine.params import Params
from quickspine.space import need_space
from quickspine.tracking import tracked_run
from quickspine.training import devices, outputs, timings
from quickspine.training.checkpoints import Checkpoints
from quickspine.training.outputs import Outcome
from quickspine.training.progress import Epoch

Stage = Literal["train", "finetune"]
ENOUGH_STEPS = 20  # of an epoch, for moving averages of momentum 0.9 to forget their start


def run(
    train: Callable[..., Outcome],
    params: Params,
    stage: Stage,
    head: str,
    seed: int,
    records: RecordSet,
    place: Path,
) -> dict[str, Any]:
    """Train one network and leave it in `place`.

    Killed and run again, it resumes from its last checkpoint; the outputs do not show it. The
    outputs are complete before the model goes to MLflow; a fault there loses nothing.

    Args:
        train: `scratch.train` or `finetune.finetune`; an argument, so that a stage imports its own
            kind of training alone.
        params: the whole of params.yaml.
        stage: "train" from random weights, "finetune" on a pretrained backbone.
        head: which head.
        seed: which seed.
        records: what tfrecords made.
        place: the model's folder.

    Returns:
        What `metrics.json` in `place` holds.
    """
    section = params.train if stage == "train" else params.finetune
    device = devices.prepare(section, seed)
    checkpoints = Checkpoints(f"{stage}-{head}-{seed}")
    # Before the training: whether anything can be written to that place at all.
    need_space(place, 0, "choose a smaller network")
    print(_opening(stage, head, seed, records, device), flush=True)
    if hint := few_steps_hint(stage, section.batch_size, records.examples("train")):
        print(hint, flush=True)
    with tracked_run(
        params,
        stage=stage,
        head=head,
        seed=seed,
        sections=["data", "split", "records", stage],
        device=device.name,
        data_digest=records.digest,
        dataset={split: records.examples(split) for split in SPLITS},
        synthetic=records.manifest["synthetic"],
        tags={"precision": device.precision, "threads": str(devices.threads())},
    ) as tracked:
        offset = {"train": 0, "head": 0, "blocks": params.finetune.head_epochs}

        def report(phase: str, entry: Epoch) -> None:
            number = int(entry["epoch"]) + offset[phase]
            print(_line(phase, number, entry), flush=True)
            tracked.log_epoch(number, {k: v for k, v in entry.items() if k != "epoch"})

        outcome = train(params, head, seed, records, device, report, checkpoints)
        records.check_unchanged()
        metrics = outputs.write(outcome, place)
        timings.keep(metrics["model_digest"], outcome.seconds)
        tracked.set_tags({"resumed": checkpoints.resumed})
        names = ("parameters", "head_parameters", "best_epoch")
        costs = {name: metrics[name] for name in names}
        tracked.log_model(place, input_shape=records.shape, classes=len(records.categories))
        # After the model, so that they are the model's too.
        best = {f"best_{name}": metrics[name] for name in ("val_accuracy", "val_loss")}
        tracked.log_metrics({**best, **costs, "training_seconds": outcome.seconds})
    checkpoints.remove()  # last: a kill until here costs no training
    return metrics


def _opening(stage: str, head: str, seed: int, records: RecordSet, device: devices.Device) -> str:
    training, validation = (f"{records.examples(split):,}" for split in ("train", "validation"))
    return (
        f"{stage} {head}, seed {seed}: {training} training images, {validation} validation images; "
        f"{device.name}, {device.precision}"
    )


def few_steps_hint(stage: str, batch_size: int, examples: int) -> str | None:
    """Explain first epochs that look wrong; None where an epoch has enough steps.

    A pretrained network's batch normalisation is frozen, so only training from scratch has them.
    """
    steps = examples // min(batch_size, examples)
    if stage != "train" or steps >= ENOUGH_STEPS:
        return None
    return (
        f"hint: an epoch has only {steps} steps, so batch normalisation's moving averages settle "
        "late and the first validation accuracies may lie far below training accuracy; a smaller "
        "train.batch_size gives more steps"
    )


def _line(phase: str, number: int, entry: Epoch) -> str:
    return (
        f"  {phase} epoch {number}: loss {entry['loss']:.4f}, accuracy {entry['accuracy']:.2%}, "
        f"validation loss {entry['val_loss']:.4f}, accuracy {entry['val_accuracy']:.2%}"
    )
