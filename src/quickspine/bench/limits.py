"""What the machine can do, and how near to that the training comes."""

from __future__ import annotations

from typing import Any

from quickspine.bench import processes, table, training
from quickspine.bench.sections import Bench, Found
from quickspine.bench.turns import summary, tell

TITLE = "The machine's limits"
PRECISIONS = ("float32", "bfloat16")
SQUARE = "large squares"


def measure(bench: Bench) -> Found:
    """Rates of memory and of products, a number a round; the images a second that they allow."""
    size, rounds = bench.size, []
    for number in range(size.rounds):
        tell(f"limits: round {number + 1} of {size.rounds}")
        rounds.append(
            processes.ours(
                "machine", str(bench.place), "--width", str(size.width),
                "--batch", str(size.batch), "--mebibytes", str(size.mebibytes),
            )
        )  # fmt: skip
    shapes, work = rounds[0]["shapes"], rounds[0]["work"]
    memory = {kind: summary([one["memory"][kind] for one in rounds]) for kind in ("copy", "add")}
    products = {}
    for precision in PRECISIONS:
        own = zip(*(one["rates"][precision] for one in rounds), strict=True)
        products[precision] = {
            **{shape: summary(rates) for shape, rates in zip(shapes, own, strict=True)},
            SQUARE: summary([one["square"][precision] for one in rounds]),
        }
    allowed = {
        precision: images_a_second(work, precision, memory, products[precision])
        for precision in PRECISIONS
    }
    return {
        "work": work | {"batch": size.batch, "width": size.width},
        "memory": memory,
        "products": products,
        "allowed": allowed,
        "reached": reached(bench.found.get("training"), allowed),
    }


def images_a_second(
    work: dict[str, Any], precision: str, memory: dict[str, Any], products: dict[str, Any]
) -> dict[str, float]:
    """What could be trained if one thing alone took time.

    Args:
        work: of a drawing's step: multiply-adds on the `whole` and by `shapes`, `bytes` moved.
        precision: of the numbers that are moved.
        memory: bytes a second, by kind.
        products: multiply-adds a second, by shape, the network's in the order of `work`.

    Returns:
        Images a second at the best rate of any product, at each shape's own rate (what is not in
        `shapes` at the best), and at the best rate of the memory.
    """
    # The fastest ever seen: a limit is no average, and other work on the machine only lowers it.
    fastest = {name: each["fastest"] for name, each in products.items()}
    best = max(fastest.values())
    own = [rate for name, rate in fastest.items() if name != SQUARE]
    seconds = sum(adds / rate for adds, rate in zip(work["shapes"], own, strict=True))
    seconds += max(0, work["whole"] - sum(work["shapes"])) / best
    moved = max(each["fastest"] for each in memory.values())
    return {
        "best product": best / work["whole"],
        "products of its own shapes": 1 / seconds,
        "memory": moved / work["bytes"][precision],
    }


def reached(found: dict[str, Any] | None, allowed: dict[str, Any]) -> dict[str, Any]:
    """Share of each limit that our trainings reach; empty where they were not measured."""
    shares: dict[str, Any] = {}
    for name in (training.OURS, training.EXACT):
        if found is None:
            break
        rate, precision = found["rates"][name]["median"], found["precisions"][name]
        limits = {limit: rate / most for limit, most in allowed[precision].items()}
        shares[name] = {"precision": precision, "images_per_second": rate, "shares": limits}
    return shares


def markdown(found: Found) -> str:
    """Tables: memory and products, images a second that they allow, and shares."""
    work, products = found["work"], found["products"]
    memory = {f"memory, {kind}": _in(each, 1e9) for kind, each in found["memory"].items()}
    rates = {
        f"{precision}, {shape}": _in(each, 5e8)  # a multiply-add is two operations
        for precision in PRECISIONS
        for shape, each in products[precision].items()
    }
    limits = list(found["allowed"]["float32"])
    rows = [
        (f"{precision}, images/s allowed", *(float(most) for most in each.values()))
        for precision, each in found["allowed"].items()
    ]
    rows += [
        (f"{name} reaches", *(f"{share:.1%}" for share in each["shares"].values()))
        for name, each in found["reached"].items()
    ]
    return (
        "Memory: numpy on all cores, arrays far larger than the caches, bytes read and written. "
        f"Products: TensorFlow, at the shapes of the network's layers for a batch of "
        f"{work['batch']}; a step takes {work['whole'] / 1e6:,.0f} million multiply-adds a "
        "drawing, counted from the model.\n\n"
        + table.rates(memory, "GB/s")
        + "\n\n"
        + table.rates(rates, "10⁹ operations/s")
        + "\n\nWhat each, at the fastest seen, would allow if it alone took time (memory: each "
        "output of a convolution crosses it ten times a step, the least where normalisation looks "
        "at a whole batch), and the share that the trainings above reach:\n\n"
        + table.table(("limit", *limits), rows)
    )


def _in(found: dict[str, Any], unit: float) -> dict[str, float]:
    return {name: found[name] / unit for name in ("median", "slowest", "fastest")}
