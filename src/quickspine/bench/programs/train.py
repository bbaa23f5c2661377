"""Train once as the peers do; prints JSON: the rate in drawings a second, and the precision."""

from __future__ import annotations

import argparse
import json

from quickspine.console import start_tensorflow
from quickspine.params import load


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params")
    parser.add_argument("--head", default="spinal")
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--deterministic", action=argparse.BooleanOptionalAction, required=True)
    args = parser.parse_args()
    change = {
        "width": args.width,
        "batch_size": args.batch,
        "precision": args.precision,
        "deterministic": args.deterministic,
    }
    params = load(args.params).train.model_copy(update=change)
    start_tensorflow()
    from quickspine.bench import trainer

    trained = trainer.train(params, args.head, args.steps, epochs=1)
    print(json.dumps({"rate": trained.rates[0], "precision": trained.precision}))


if __name__ == "__main__":
    main()
