"""Train with both heads at many batch sizes and widths; prints JSON: the points of each axis."""

from __future__ import annotations

import argparse
import json
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types

from quickspine.console import start_tensorflow
from quickspine.params import load

# Bytes of a drawing's activations and gradients in a step at width 1; more than was ever seen.
DRAWING = 12_000_000
HEADS = ("dense", "spinal")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params")
    parser.add_argument("--batches", type=int, nargs="+", required=True)
    parser.add_argument("--widths", type=float, nargs="+", required=True)
    parser.add_argument("--batch", type=int, required=True, help="of all widths")
    parser.add_argument("--width", type=float, required=True, help="of all batch sizes")
    parser.add_argument("--drawings", type=int, required=True, help="an epoch's, at width 1")
    parser.add_argument("--rounds", type=int, required=True)
    args = parser.parse_args()
    params = load(args.params).train
    start_tensorflow()
    from quickspine.bench import trainer

    found: dict[str, Any] = {"batch": [], "width": [], "left_out": []}
    wanted = [("batch", batch, batch, args.width) for batch in args.batches]
    wanted += [("width", width, args.batch, width) for width in args.widths]
    for axis, at, batch, width in wanted:
        if 2 * batch * width * DRAWING > psutil.virtual_memory().available:
            found["left_out"].append(f"{axis} {at:g}: too little memory was free")
            continue
        # About as long at each width: the time goes with a power of the width between 1 and 2.
        steps = max(1, round(args.drawings / width**1.5 / batch))
        change = {"batch_size": batch, "width": width}
        for head in HEADS:
            trained = trainer.train(params.model_copy(update=change), head, steps, args.rounds)
            found[axis].append({"at": at, "head": head, "rates": trained.rates})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
