"""Whether the fast precision trains as well: the same trainings in float32 and in `auto`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from quickspine import categories
from quickspine.bench import processes, staged, table
from quickspine.bench.sections import Bench, Found
from quickspine.bench.turns import tell
from quickspine.errors import InputError
from quickspine.sources.mirror import LAYOUT, file_name

TITLE = "Accuracy of the fast path"
PRECISIONS = ("float32", "auto")
SPLIT = {"train": 0.75, "validation": 0.2, "test": 0.05}  # validation is what is looked at
MIRROR = "QUICKDRAW_MIRROR"  # the variable that names a folder of Google's drawings


def measure(bench: Bench) -> Found:
    """Final validation accuracies of each seed in both precisions, and what they say."""
    from quickspine.console import start_tensorflow

    start_tensorflow()
    size = bench.size
    records, words = _records(bench)
    return {
        "drawings": words,
        "drawings_per_category": size.train_drawings,
        "trained": [_trained(bench, records, width, epochs) for width, epochs in size.trained],
    }


def _trained(bench: Bench, records: Path, width: float, epochs: int) -> Found:
    """All seeds in both precisions, of one width."""
    accuracies: dict[str, list[list[float]]] = {name: [] for name in PRECISIONS}
    seeds, came_to = bench.size.seeds, ""
    for seed in range(1, seeds + 1):
        # In turn, here too, though it is not time that is measured.
        for precision in PRECISIONS[:: 1 if seed % 2 else -1]:
            tell(f"quality: width {width:g}, seed {seed} of {seeds}, {precision}")
            found = processes.ours(
                "accuracy", str(bench.place), str(records), "--precision", precision,
                "--seed", str(seed), "--width", str(width), "--epochs", str(epochs),
            )  # fmt: skip
            accuracies[precision].append(found["accuracies"])
            came_to = found["precision"] if precision == "auto" else came_to
    finals = {name: [course[-1] for course in each] for name, each in accuracies.items()}
    return {
        "width": width,
        "epochs": epochs,
        "auto": came_to,
        "accuracies": accuracies,
        **compared(finals["float32"], finals["auto"]),
    }


def compared(exact: Sequence[float], fast: Sequence[float]) -> Found:
    """Means and spreads over seeds, and whether the difference of means lies within the spread.

    The spread is the range of the float32 reference over its seeds. With three seeds and no true
    difference, that of the means is smaller in about nineteen cases of twenty (normal noise).
    One seed has no spread, and `within` is None.
    """
    difference = mean(fast) - mean(exact)
    several = len(exact) > 1
    reach = max(exact) - min(exact)
    return {
        "float32": _described(exact),
        "fast": _described(fast),
        "difference": difference,
        "spread": reach if several else None,
        "within": abs(difference) <= reach if several else None,
    }


def _described(values: Sequence[float]) -> dict[str, Any]:
    deviation = stdev(values) if len(values) > 1 else None
    return {"mean": mean(values), "std": deviation, "seeds": list(values)}


def _records(bench: Bench) -> tuple[Path, str]:
    """The stages' own work, on real drawings where they can be had; and what they are in words."""
    named = [os.environ.get(MIRROR, ""), bench.params.data.mirror.removeprefix("file://")]
    mirror = next((name for name in named if name and Path(name).is_dir()), None)
    why = f"no folder of Google's is named by {MIRROR} or data.mirror"
    if mirror is not None:
        found = _there(Path(mirror))
        change = {"source": "quickdraw", "mirror": mirror, "categories": found}
        try:
            if len(found) == len(categories.DOODLES):
                return _staged(bench, change), "Google's drawings"
            why = f"the folder of Google's holds {len(found)} categories only"
        except InputError as error:
            tell(f"quality: {error}")
            why = "Google's could not be read"
    return _staged(bench, staged.DOODLES), f"Synthetic drawings ({why})"


def _there(folder: Path) -> tuple[str, ...]:
    """As many categories as there are doodles, of those that a folder holds; the doodles' first."""
    names = dict.fromkeys([*categories.DOODLES, *categories.quickdraw()])
    places = (folder, folder / LAYOUT)
    held = [name for name in names if any((p / file_name(name)).is_file() for p in places)]
    return tuple(held[: len(categories.DOODLES)])


def _staged(bench: Bench, change: dict[str, Any]) -> Path:
    drawings = bench.size.train_drawings
    tell(f"quality: {drawings} drawings of each category, from {change['source']}")
    split = bench.params.split.model_copy(update=SPLIT)
    params = bench.params.model_copy(update={"split": split})
    return staged.records(params, bench.folder, {**change, "drawings_per_category": drawings})


def markdown(found: Found) -> str:
    """A table of both precisions at each width, and a sentence each."""
    rows, verdicts = [], []
    for trained in found["trained"]:
        width = f"{trained['width']:g}"
        for name, key in (("float32", "float32"), (f"auto ({trained['auto']})", "fast")):
            each = trained[key]
            deviation = "-" if each["std"] is None else f"{each['std']:.2%}"
            seeds = ", ".join(f"{value:.2%}" for value in each["seeds"])
            named, epochs = f"width {width}, {name}", str(trained["epochs"])
            rows.append((named, epochs, f"{each['mean']:.2%}", deviation, seeds))
        verdicts.append(f"- width {width}: {_verdict(trained)}")
    return (
        f"{found['drawings']}, {found['drawings_per_category']:,} of each of 24 categories; spinal "
        "head; validation accuracy after the last epoch. A seed has the same weights, order and "
        "augmentation in both precisions. Wide networks take Winograd's convolutions in bfloat16, "
        "narrow ones do not.\n\n"
        + table.table(("trained", "epochs", "mean", "std over seeds", "seeds"), rows)
        + "\n\n"
        + "\n".join(verdicts)
    )


def _verdict(found: Found) -> str:
    if found["auto"] == "float32":
        return "`auto` is float32 on this machine: there is no other path to compare."
    points = f"The means differ by {100 * found['difference']:+.2f} points"
    if found["within"] is None:
        return f"{points}; one seed shows no spread."
    where = "within" if found["within"] else "OUTSIDE"
    return (
        f"{points}: {where} the spread over seeds in float32, {100 * found['spread']:.2f} points."
    )
