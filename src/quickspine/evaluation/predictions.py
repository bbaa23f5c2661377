"""evaluation/predictions.npz: the logits on the test split, with digests of data and models."""

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
    """Write the predictions.

    The file holds `logits_<stage>-<head>-<seed>`, float32 [N, C]; `labels`, int64 [N]; `names` and
    `digests`, text: of the data (`data`) and of each `model.keras`.

    Args:
        folder: the folder of the evaluation.
        runs: with their logits.
        labels: of the test images.
        data: the digest of the records.
        models: the digest of each run's `model.keras`, by the run's name.
    """
    names = [DATA, *(run.name for run in runs)]
    np.savez(
        folder / NAME,
        allow_pickle=False,
        **{f"logits_{run.name}": run.logits for run in runs},
        labels=labels,
        names=np.array(names),
        digests=np.array([data, *(models[run.name] for run in runs)]),
    )


def check(folder: Path, records: Path, models: Path) -> None:
    """Compare the digests with those of the records and models that are there now.

    Records and models that were removed since are not compared.

    Args:
        folder: the folder of the evaluation.
        records: the folder of the TFRecords.
        models: the folder of the models' folders.

    Raises:
        InputError: if the file is missing or damaged, or belongs to other data or models.
    """
    path = folder / NAME
    for name, digest in _digests(path).items():
        if name == DATA:
            current, key, made_by = records / "manifest.json", "digest", "tfrecords"
        else:
            current, key = models / name / "metrics.json", "model_digest"
            made_by = name.replace("-", "@", 1)
        if not current.is_file():
            continue
        now = str(read_json(current, made_by).get(key))
        if now != digest:
            of = "on other data" if name == DATA else f"of another {name}"
            raise InputError(
                f"{path}: predictions {of} ({digest[:SHOWN]}…, {current.parent} is now "
                f"{now[:SHOWN]}…); run: make repro"
            )


def _digests(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{path}: missing; run: make repro")
    try:
        # Opened here, because np.load does not close a damaged file.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names, digests = arrays["names"], arrays["digests"]
            if names.shape != digests.shape or names.ndim != 1 or names.dtype.kind != "U":
                raise ValueError("names and digests do not fit together")
            by_name = dict(zip(map(str, names), map(str, digests), strict=True))
        if DATA not in by_name or not all(RUN.fullmatch(name) for name in by_name if name != DATA):
            raise ValueError("not names of models")
        return by_name
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged ({reason}); run: dvc repro -f evaluate") from None
