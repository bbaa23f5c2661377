"""Train once on records, as the stage does; prints JSON: validation accuracy after each epoch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from quickspine.console import start_tensorflow
from quickspine.dataset.records.reader import open_records
from quickspine.params import load


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params")
    parser.add_argument("records", type=Path)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    args = parser.parse_args()
    params = load(args.params)
    change = {"precision": args.precision, "width": args.width, "epochs": args.epochs}
    params = params.model_copy(update={"train": params.train.model_copy(update=change)})
    records = open_records(args.records)
    start_tensorflow()
    from quickspine.training import devices, scratch

    device = devices.prepare(params.train, args.seed)
    accuracies: list[float] = []
    scratch.train(
        params,
        "spinal",
        args.seed,
        records,
        device,
        lambda entry: accuracies.append(entry["val_accuracy"]),
    )
    print(json.dumps({"precision": device.precision, "accuracies": accuracies}))


if __name__ == "__main__":
    main()
