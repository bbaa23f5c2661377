"""Read, change and wait for doodles; prints JSON: drawings a second, and shares of the time."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from quickspine.bench import staged
from quickspine.bench.turns import tell
from quickspine.console import start_tensorflow
from quickspine.params import load


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params")
    parser.add_argument("folder", type=Path, help="an empty one, for data")
    parser.add_argument("--drawings", type=int, required=True, help="of each category, to read")
    parser.add_argument("--passes", type=int, required=True, help="over them, a round")
    parser.add_argument("--train-drawings", type=int, required=True, help="to train on")
    parser.add_argument("--width", type=float, required=True, help="of a network besides params'")
    parser.add_argument(
        "--batch", type=int, required=True, help="drawings that are changed at once"
    )
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True, help="in which waiting is measured")
    args = parser.parse_args()
    params = load(args.params)

    def made(name: str, drawings: int) -> Path:
        tell(f"inputs: {drawings:,} doodles of each category for {name}")
        (args.folder / name).mkdir()
        change = {**staged.DOODLES, "drawings_per_category": drawings}
        return staged.records(params, args.folder / name, change)

    start_tensorflow()
    read, trained = made("reading", args.drawings), made("training", args.train_drawings)
    from quickspine.bench import reading
    from quickspine.bench.waiting import waiting
    from quickspine.dataset.records.reader import open_records

    records = open_records(read)
    peers = args.folder / "peers"
    found = {
        "drawings": records.examples("train"),
        "reading": reading.reading(records, peers, tell, rounds=args.rounds, passes=args.passes),
        "augmenting": reading.augmenting(records, tell, batch_size=args.batch, rounds=args.rounds),
    }
    records = open_records(trained)
    waited: reading.Rounds = {}
    for width in dict.fromkeys((params.train.width, args.width)):
        waited |= waiting(params, records, tell, width=width, rounds=args.epochs)
    trained_on = {"drawings": records.examples("train"), "batch": params.train.batch_size}
    print(json.dumps({**found, "trained_on": trained_on, "waiting": waited}))


if __name__ == "__main__":
    main()
