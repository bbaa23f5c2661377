"""Train a network from random weights."""

from __future__ import annotations

from collections.abc import Callable

import keras

from quickspine.dataset.augment import augmented
from quickspine.dataset.records.reader import PREFETCH, RecordSet, steady
from quickspine.nets.backbones import classifier
from quickspine.params import Params
from quickspine.training.checkpoints import Checkpoints
from quickspine.training.code import code_digest
from quickspine.training.devices import Device
from quickspine.training.loop import Task, fit
from quickspine.training.optimizers import optimizer_maker
from quickspine.training.outputs import Outcome
from quickspine.training.progress import Epoch
from quickspine.training.schedules import make_schedule


def train(
    params: Params,
    head: str,
    seed: int,
    records: RecordSet,
    device: Device,
    report: Callable[[str, Epoch], None],
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train `train.backbone` with `head`; for one seed every head gets the same everything else.

    Args:
        params: the whole of params.yaml.
        head: which head.
        seed: decides initial weights, order, augmentation and dropout.
        records: the data; its test split is not read.
        device: from `devices.prepare`.
        report: receives "train" and the entry of every epoch.
        checkpoints: of the stage, to go on from after a kill; None: start anew.
    """
    train = params.train
    examples = records.examples("train")
    batch_size = min(train.batch_size, examples)
    steps = examples // batch_size

    def build(tuned: bool) -> keras.Model:
        classes, shape = len(records.categories), records.shape
        return classifier.build(train, head, classes=classes, seed=seed, shape=shape, tuned=tuned)

    def epochs_from(epoch: int) -> object:
        left = train.epochs - epoch
        data = records.shuffled("train", batch_size, seed=seed, epoch=epoch, epochs=left)
        data = augmented(data, train.augment, seed=seed, epoch=epoch, epochs=left, steps=steps)
        return data.prefetch(PREFETCH).with_options(steady())

    facts = {
        "stage": "train",
        "head": head,
        "seed": seed,
        "backbone": train.backbone,
        "data_digest": records.digest,
        "params_digest": params.digest("train"),
        "code_digest": code_digest("train", head),
        "precision": device.precision,
    }
    with device.strategy.scope():
        model = build(device.tuned)
    task = Task(
        name=f"train {head} seed {seed}, epoch",
        model=model,
        training=epochs_from,
        validation=records.ordered("validation", 512),
        steps=steps,
        epochs=train.epochs,
        schedule=make_schedule(
            train, "train", train.learning_rate, steps=steps, epochs=train.epochs, seed=seed
        ),
        seed=seed,
        early_stopping=train.early_stopping,
        checkpoint=checkpoints.of("train", device, facts) if checkpoints else None,
        optimizer=optimizer_maker(train),
    )
    fitted = fit(task, device, lambda entry: report("train", entry))
    # A fresh network of plain float32 layers: the file is the same whatever the training ran on.
    keras.utils.clear_session()
    keras.config.set_dtype_policy("float32")
    final = build(tuned=False)
    final.set_weights(fitted.weights)
    history = [("train", entry) for entry in fitted.history]
    return Outcome(final, fitted.best, history, facts, fitted.seconds)
