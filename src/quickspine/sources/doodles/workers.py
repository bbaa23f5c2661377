"""Chunks of drawings, in order, drawn by several processes at once."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import numpy as np
from numpy.typing import NDArray

from quickspine.parallel import Stop, by_processes
from quickspine.sources.doodles.drawing import draw

Job = tuple[str, int, int, int]  # the arguments of `draw`: category, seed, start, stop


def drawn(jobs: Iterable[Job], processes: int) -> Generator[NDArray[np.uint8], None, None]:
    """What `draw` returns for each job, in the order of the jobs; the same for any `processes`.

    A few jobs a process are under way at a time, so memory does not grow with their number.
    Close the generator (`contextlib.closing`) to end the processes early.
    """
    return by_processes(_draw, jobs, processes)


def _draw(job: Job, stop: Stop) -> NDArray[np.uint8]:
    return draw(*job)
