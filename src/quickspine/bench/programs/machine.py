"""What this machine can do; prints JSON: bytes and multiply-adds a second."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from quickspine.console import start_tensorflow
from quickspine.parallel import processors
from quickspine.params import load

LEAST_SHARE = 0.01  # of the network's multiply-adds: smaller products are not measured
SQUARE = 2048  # side of the matrices that show the highest rate


def memory(mebibytes: int) -> dict[str, float]:
    """Bytes a second that numpy moves on all cores, best of five: `copy` and `add`.

    Counted as STREAM does: what is read and what is written; not that a cache may fetch a line
    before it is written.
    """
    count, workers = mebibytes * 2**18, processors()
    first, second, third = (np.full(count, value, np.float32) for value in (1, 2, 3))
    parts = [slice(n * count // workers, (n + 1) * count // workers) for n in range(workers)]

    def copy(part: slice) -> None:
        np.copyto(third[part], first[part])

    def add(part: slice) -> None:
        np.add(first[part], second[part], out=third[part])

    with ThreadPoolExecutor(workers) as pool:

        def best(work: Callable[[slice], None], arrays: int) -> float:
            def once() -> None:
                for _ in pool.map(work, parts):
                    pass

            return arrays * first.nbytes / _least(once, repeats=5)

        return {"copy": best(copy, 2), "add": best(add, 3)}


def multiplying(shapes: list[tuple[int, int, int]]) -> dict[str, list[float]]:
    """Multiply-adds a second of products [m, k] × [k, n] in each precision, best of eight."""
    import tensorflow as tf

    def rate(shape: tuple[int, int, int], dtype: Any) -> float:
        rows, inner, columns = shape
        left = tf.Variable(tf.cast(tf.random.stateless_normal((rows, inner), (1, 2)), dtype))
        right = tf.Variable(tf.cast(tf.random.stateless_normal((inner, columns), (3, 4)), dtype))

        product = tf.function(lambda: tf.matmul(left, right))

        seconds = _least(lambda: product()[0, 0].numpy(), repeats=8)
        return rows * inner * columns / seconds

    kinds = {"float32": tf.float32, "bfloat16": tf.bfloat16}
    return {name: [rate(shape, dtype) for shape in shapes] for name, dtype in kinds.items()}


def _least(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest call; one before is not counted."""
    work()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params")
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--mebibytes", type=int, required=True)
    args = parser.parse_args()
    params = load(args.params).train.model_copy(update={"width": args.width})
    moved = memory(args.mebibytes)
    start_tensorflow()
    from quickspine.bench import trainer, work
    from quickspine.evaluation.flops import Product, products

    layers = products(trainer.build(params, "spinal"))

    def same(one: Product, key: tuple[int, int, int]) -> bool:
        return (one.positions, one.fan_in, one.units) == key

    whole = sum(layer.multiply_adds for layer in layers)
    large = [layer for layer in layers if layer.multiply_adds >= LEAST_SHARE * whole]
    distinct = list(dict.fromkeys((one.positions, one.fan_in, one.units) for one in large))
    shapes = [(args.batch * positions, *rest) for positions, *rest in distinct]
    square = min(SQUARE, 16 * args.batch)
    rates = multiplying([*shapes, (square, square, square)])
    steps = [3 * sum(one.multiply_adds for one in large if same(one, key)) for key in distinct]
    found = {
        "memory": moved,
        "shapes": [" x ".join(map(str, shape)) for shape in shapes],
        "rates": {name: each[:-1] for name, each in rates.items()},
        "square": {name: each[-1] for name, each in rates.items()},
        "work": {
            "shapes": steps,
            "whole": work.training_multiply_adds(layers),
            "bytes": {
                "float32": work.training_bytes(layers, 4),
                "bfloat16": work.training_bytes(layers, 2),
            },
        },
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
