"""Train a head on a pretrained network: first alone, then together with the last blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.dataset.records.reader import RecordSet
from quickspine.files import sha256
from quickspine.nets import pretrained
from quickspine.nets.pretrained import classifier
from quickspine.nets.pretrained.blocks import freeze_normalisation, split
from quickspine.nets.pretrained.catalogue import IMAGENET, NONE
from quickspine.nets.pretrained.folding import fold
from quickspine.params import Params, resolve_path
from quickspine.training.checkpoints import Checkpoints
from quickspine.training.code import code_digest
from quickspine.training.devices import Device, arithmetic
from quickspine.training.features import kept, ordered, shuffled
from quickspine.training.loop import Fitted, Task, fit
from quickspine.training.optimizers import optimizer_maker
from quickspine.training.outputs import Outcome
from quickspine.training.progress import Epoch, merit
from quickspine.training.schedules import make_schedule
from quickspine.training.step import compiled_forward

FEATURE_BATCH = 128  # drawings through the frozen part at once
SPLITS = ("train", "validation")  # the test split is evaluate's alone


def finetune(
    params: Params,
    head: str,
    seed: int,
    records: RecordSet,
    device: Device,
    report: Callable[[str, Epoch], None],
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train `head` on `finetune.backbone`.

    Phase "head" trains the head on features of the whole frozen backbone; phase "blocks" goes on
    from its best epoch and trains the last blocks with it. What lies before them is frozen in
    both, so its outputs are computed once, for all heads and seeds.

    Args:
        params: the whole of params.yaml.
        head: which head.
        seed: decides the head's initial weights, order and dropout.
        records: the data; its test split is not read.
        device: from `devices.prepare`.
        report: hears of every epoch, with its phase.
        checkpoints: of the stage, to go on from after a kill; None: start anew.
    """
    chosen = params.finetune
    classes = len(records.categories)
    # What is kept computes in plain float32, wherever the training runs: features and the file.
    # Keras counts the layers of a process for their names: equal trainings count from the start.
    keras.utils.clear_session()
    keras.config.set_dtype_policy("float32")
    front = classifier.front(records.shape, chosen.image_size)
    weights = chosen.weights
    given = None if weights in (IMAGENET, NONE) else sha256(resolve_path(weights))
    backbone = pretrained.build(chosen.backbone, chosen.weights, chosen.image_size)
    trunk, tail = split(backbone, chosen.unfrozen_blocks)
    maps, pooled = _frozen(params, records, device, front, trunk, tail)
    labels = {name: records.labels(name) for name in SPLITS}
    batch_size = min(chosen.batch_size, len(labels["train"]))
    steps = len(labels["train"]) // batch_size

    # What trains is a network of its own, with the device's precision and copies on every replica.
    keras.config.set_dtype_policy(device.policy)
    with device.strategy.scope():
        copied = pretrained.build(chosen.backbone, chosen.weights, chosen.image_size)
        blocks = split(copied, chosen.unfrozen_blocks)[1]
        blocks.set_weights(tail.get_weights())
        freeze_normalisation(blocks)
        layer = classifier.head_on(copied.outputs[0], chosen, head, classes, seed)
        features = keras.Input(copied.outputs[0].shape[1:], name="features")
        alone = keras.Model(features, layer(features), name="head_alone")
        cut = keras.Input(blocks.inputs[0].shape[1:], name="cut")
        together = keras.Model(cut, layer(blocks(cut)), name="with_blocks")
    keras.config.set_dtype_policy("float32")
    facts = {
        "stage": "finetune",
        "head": head,
        "seed": seed,
        "backbone": chosen.backbone,
        "data_digest": records.digest,
        "params_digest": params.digest("finetune"),
        "code_digest": code_digest("finetune", head),
        "weights_digest": given or _weights_digest(backbone),
        "precision": device.precision,
    }
    # Weights of a file are no param, and random ones of a backbone have no name but their values.
    started = {**facts, "params_digest": f"{facts['params_digest']} {_weights_digest(copied)}"}

    def phase(name: str, model: keras.Model, values: dict[str, Any], epochs: int) -> Fitted:
        rate = chosen.head_learning_rate if name == "head" else chosen.learning_rate
        task = Task(
            name=f"finetune {head} seed {seed}, {name}",
            model=model,
            training=shuffled(
                values["train"], labels["train"], batch_size, seed=seed, epochs=epochs
            ),
            validation=ordered(values["validation"], labels["validation"], 512),
            steps=steps,
            epochs=epochs,
            schedule=make_schedule(chosen, name, rate, steps=steps, epochs=epochs, seed=seed),
            seed=seed,
            checkpoint=checkpoints.of(name, device, started) if checkpoints else None,
            optimizer=optimizer_maker(chosen),
        )
        return fit(task, device, lambda entry: report(name, entry))

    first = phase("head", alone, pooled, chosen.head_epochs)
    alone.set_weights(first.weights)
    history, best = [("head", entry) for entry in first.history], first.best
    seconds = first.seconds
    if chosen.epochs and chosen.unfrozen_blocks:
        before = together.get_weights()
        second = phase("blocks", together, maps, chosen.epochs)
        later = [{**e, "epoch": e["epoch"] + chosen.head_epochs} for e in second.history]
        history += [("blocks", entry) for entry in later]
        seconds += second.seconds
        better = merit(second.best) > merit(best)
        together.set_weights(second.weights if better else before)
        if better:
            best = {**second.best, "epoch": second.best["epoch"] + chosen.head_epochs}
    tail.set_weights(blocks.get_weights())
    final = classifier.head_on(backbone.outputs[0], chosen, head, classes, seed)
    final.set_weights(layer.get_weights())
    return Outcome(classifier.assemble(front, backbone, final), best, history, facts, seconds)


def _frozen(
    params: Params,
    records: RecordSet,
    device: Device,
    front: keras.Model,
    trunk: keras.Model,
    tail: keras.Model,
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """Outputs of the trunk, and of trunk and tail, a split each."""
    chosen = params.finetune
    facts = {
        "data": records.digest,
        "backbone": chosen.backbone,
        "weights": _weights_digest(trunk, tail),
        "image_size": chosen.image_size,
        "unfrozen_blocks": chosen.unfrozen_blocks,
        "code": code_digest("finetune"),
        "versions": [tf.__version__, keras.__version__],
        "device": device.name,
        "arithmetic": arithmetic(),
    }
    through = keras.Model(front.inputs[0], fold(trunk)(front.outputs[0], training=False))
    outer, inner = compiled_forward(through), compiled_forward(tail)
    maps, pooled = {}, {}
    for name in SPLITS:
        images = records.ordered(name, FEATURE_BATCH).map(_first)
        count = records.examples(name)
        known, label = {**facts, "split": name}, f"features of the {name} split"
        maps[name] = kept({**known, "part": "trunk"}, outer, images, label, count)
        values = ordered(maps[name], np.zeros(count, np.int64), FEATURE_BATCH).map(_first)
        label = f"pooled {label}"
        pooled[name] = kept({**known, "part": "whole"}, inner, values, label, count)
    return maps, pooled


def _first(inputs: Any, labels: Any) -> Any:
    return inputs


def _weights_digest(*models: keras.Model) -> str:
    """Names the very weights, also of a backbone that was built at random."""
    found = hashlib.sha256()
    for model in models:
        for weight in model.get_weights():
            found.update(np.ascontiguousarray(weight).tobytes())
    return found.hexdigest()
