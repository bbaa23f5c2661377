"""Reading, changing and waiting, measured at tiny size; in a process of its own, as it trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = """
import json, sys
from pathlib import Path
from quickspine import sources
from quickspine.bench import reading
from quickspine.bench.waiting import waiting
from quickspine.console import start_tensorflow
from quickspine.dataset.records import reader
from quickspine.dataset.records import write
from quickspine.dataset.prepare import subset
from quickspine.params import load

params, told = load(sys.argv[1]), []
data = params.data.model_copy(update={"drawings_per_category": 60})
train = params.train.model_copy(update={"batch_size": 8})
params = params.model_copy(update={"data": data, "train": train})
raw, chosen, shards, peers = (Path(name) for name in ("raw", "subset", "records", "peers"))
sources.fetch(params.data, raw)
subset.preprocess(params, raw, chosen)
write.write(params.records, chosen, shards)
start_tensorflow()
opened = reader.open_records(shards)
found = [
    reading.reading(opened, peers, told.append, rounds=2, passes=1, peers=2000),
    reading.augmenting(opened, told.append, batch_size=8, rounds=2),
    waiting(params, opened, told.append, width=0.1, rounds=2),
]

import tensorflow_datasets as tfds
theirs = tfds.builder_from_directory(peers / reading.NAME / "1.0.0")
pairs = theirs.as_dataset(split="train", as_supervised=True).as_numpy_iterator()
ours = opened.ordered("train", 1).as_numpy_iterator()
same = [
    bool((image == images[0]).all() and label == labels[0])
    for (image, label), (images, labels) in zip(pairs, ours, strict=True)
]
features = theirs.info.features
print(json.dumps([found, told, same, features["label"].names, list(features["image"].shape)]))
"""


def test_reading_changing_and_waiting_are_measured_round_by_round(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TINY, str(ROOT / "params.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, told, same, names, shape = json.loads(done.stdout.splitlines()[-1])
    read, changed, waited = found
    assert list(read) == [
        "shuffled, batch 128",
        "shuffled, batch 1024",
        "in order, batch 128",
        "in order, batch 1024",
        "tfds, one by one",
        "tfds, batch 128",
        "tfds, batch_size=128",
        "tfds, kept in memory",
    ]
    assert list(changed) == ["rotation, shift, zoom", "and perspective"]
    assert all(len(rates) == 2 and min(rates) > 0 for rates in (read | changed).values())
    ((name, shares),) = waited.items()
    assert name.startswith("width 0.1, ")
    assert len(shares) == 2
    assert all(0 < share < 1 for share in shares)
    for name in (*read, *changed):
        assert any(name in line for line in told)
    # What is compared with holds the same drawings.
    assert len(same) > 1024
    assert all(same)
    assert len(names) == 24
    assert shape == [28, 28, 1]
