"""evaluation/predictions.npz: every answer on the test split, and whose it is about what."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from quickspine.errors import InputError
from quickspine.evaluation.metrics import Ints, ModelRun
from quickspine.files import read_json

NAME = "predictions.npz"
RUN = re.compile(r"(train|finetune)-[a-z]+-[0-9]+")
DATA = "data"  # the name of the data among those of the models
SHOWN = 12  # characters of a digest in a message


def write(
    folder: Path, runs: Sequence[ModelRun], labels: Ints, data: str, models: Mapping[str, str]
) -> None:
    """Write the answers.

    The file holds `logits_<stage>-<head>-<seed>`, float32 [N, C]; `labels`, int64 [N]; `names` and
    `digests`, text: of the data (`data`) and of each `model.keras`.

    Args:
        folder: where to.
        runs: the models' answers.
        labels: of the test drawings.
        data: the digest of the records.
        models: the digest of each run's `model.keras`, by the run's name.
    """
    arrays = {f"logits_{run.name}": run.logits for run in runs}
    names = [DATA, *(run.name for run in runs)]
    digests = [data, *(models[run.name] for run in runs)]
    np.savez(
        folder / NAME,
        allow_pickle=False,
        **arrays,
        labels=labels,
        names=np.array(names),
        digests=np.array(digests),
    )


def check(folder: Path, records: Path, models: Path) -> None:
    """Whether the answers are about the records, and by the models, that are there now.

    What is not there any more is not held against them: outputs may have been removed since.

    Args:
        folder: of the evaluation.
        records: the folder of the TFRecords.
        models: the folder of the models' folders.

    Raises:
        InputError: if the file is missing or damaged, or belongs to other data or models.
    """
    path = folder / NAME
    known = _digests(path)
    now = {DATA: (records / "manifest.json", "digest", "tfrecords")}
    for name in known:
        if name != DATA:
            made_by = name.replace("-", "@", 1)
            now[name] = (models / name / "metrics.json", "model_digest", made_by)
    for name, (facts, key, made_by) in now.items():
        if not facts.is_file():
            continue
        found = str(read_json(facts, made_by).get(key))
        if found != known.get(name):
            of = "about other drawings" if name == DATA else f"of another {name}"
            raise InputError(
                f"{path}: answers {of} ({str(known.get(name))[:SHOWN]}…, {facts.parent} is "
                f"{found[:SHOWN]}… now); run: make repro"
            )


def _digests(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{path}: missing; run: make repro")
    try:
        # Opened here: of a damaged file numpy would forget to close its own.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names, digests = arrays["names"], arrays["digests"]
            if names.shape != digests.shape or names.ndim != 1 or names.dtype.kind != "U":
                raise ValueError("its names and digests do not fit together")
            found = dict(zip(map(str, names), map(str, digests), strict=True))
        if DATA not in found or not all(RUN.fullmatch(name) for name in found if name != DATA):
            raise ValueError("not names of models")
        return found
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged ({reason}); run: dvc repro -f evaluate") from None
