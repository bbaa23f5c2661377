"""The pipeline's data stages on the doodles, whatever the source in params.yaml: no network."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from quickspine import categories
from quickspine.bench import table
from quickspine.bench.sections import Bench, Found
from quickspine.bench.turns import Contestant, in_turn

TITLE = "Data stages: drawings a second"


def measure(bench: Bench) -> Found:
    """Rates of drawing, choosing, writing records and reading them."""
    from quickspine.console import start_tensorflow

    start_tensorflow()
    works = _works(bench)
    for _, _, work in works:  # each needs what the one before leaves; graphs are compiled
        work()
    contestants = [Contestant(name, partial(_timed, many, work)) for name, many, work in works]
    return in_turn(contestants, bench.size.rounds, "stages").told()


def _works(bench: Bench) -> list[tuple[str, int, Callable[[], object]]]:
    """Name, drawings and work of each, in the order of the pipeline."""
    from quickspine import sources
    from quickspine.dataset.prepare import subset
    from quickspine.dataset.records import reader, write

    size, folder = bench.size, bench.folder
    chosen = {"source": "doodles", "categories": categories.DOODLES, "allow_fewer": False}
    data = bench.params.data.model_copy(update={**chosen, "drawings_per_category": size.drawings})
    params = bench.params.model_copy(update={"data": data})
    raw, subset_place, shards = (folder / name for name in ("raw", "subset", "records"))
    total, batch = len(data.categories) * size.drawings, params.train.batch_size
    many = round(total * params.split.train) * size.passes

    @cache  # what checks every digest is no part of reading
    def opened() -> reader.RecordSet:
        return reader.open_records(shards)

    def read(epoch_of: Callable[[int], Any]) -> None:
        for epoch in range(size.passes):
            for _ in epoch_of(epoch):
                pass

    def ordered(epoch: int) -> Any:
        return opened().ordered("train", batch)

    def shuffled(epoch: int) -> Any:
        return opened().shuffled("train", batch, seed=1, epoch=epoch)

    return [
        ("doodles", total, lambda: sources.fetch(data, raw)),
        ("preprocess", total, lambda: subset.preprocess(params, raw, subset_place)),
        ("tfrecords", total, lambda: write.write(params.records, subset_place, shards)),
        ("read in order", many, lambda: read(ordered)),
        ("read shuffled", many, lambda: read(shuffled)),
    ]


def _timed(drawings: int, work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return drawings / (time.perf_counter() - start)


def markdown(found: Found) -> str:
    """One table."""
    return table.rates(found["rates"], "drawings/s") + table.skipped(found["skipped"])
