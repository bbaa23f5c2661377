"""tensorflow-datasets, imported late and kept quiet; its builders by name."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import logging as standard
import sys
from collections.abc import Iterator
from typing import Any

from quickspine.console import start_tensorflow
from quickspine.errors import InputError
from quickspine.params.errors import MAX_SHOWN

ATTEMPTS = 5  # for each file: seconds of patience where nothing answers, not tfds's three minutes


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """The module `tensorflow_datasets`; in the block it says nothing that is no error.

    Its bars are shown on a terminal only: in a log they are a line each second.
    """
    start_tensorflow()
    logging = importlib.import_module("absl.logging")
    retries = standard.getLogger("urllib3.connectionpool")  # warns of each try
    level = retries.level
    retries.setLevel(standard.ERROR)
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        library = importlib.import_module("tensorflow_datasets")
        downloader: Any = importlib.import_module("tensorflow_datasets.core.download.downloader")
        downloader.MAX_RETRIES = ATTEMPTS
        with _bars(sys.stderr is not None and sys.stderr.isatty()):
            yield library
    finally:
        logging.set_verbosity(before)
        retries.setLevel(level)


@contextlib.contextmanager
def _bars(shown: bool) -> Iterator[None]:
    """Its progress bars on or off, and no boxes of text on stdout."""
    bars: Any = importlib.import_module("tensorflow_datasets.core.utils.tqdm_utils")
    before = bars._active
    bars.display_progress_bar(shown)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        bars.display_progress_bar(before)


def find(library: Any, dataset: str, folder: str | None) -> Any:
    """The builder of `dataset`, a name or name/config; prepared or not.

    Args:
        library: what `started` gives.
        dataset: as `data.dataset` has it.
        folder: where data sets are kept; None: where tfds keeps them. One that was prepared there
            by a builder unknown here is found too.

    Raises:
        InputError: if there is no such builder or configuration; names the closest.
    """
    name, _, config = dataset.partition("/")
    try:
        configs = sorted(library.builder_cls(name).builder_configs)
    except library.core.DatasetNotFoundError:
        configs = None
    if configs is not None and config and config not in configs:
        known = f"one of {_listed(configs)}" if configs else f"none: write {name}"
        raise InputError(
            f"data.dataset: {name} has no configuration {config!r}{_close(config, configs)}; "
            f"it has {known}"
        )
    if configs is not None and len(configs) > 1 and not config:
        raise InputError(
            f"data.dataset: {name} has several configurations; write {name}/ and one of "
            f"{_listed(configs)}"
        )
    try:
        return library.builder(dataset, data_dir=folder)
    except library.core.DatasetNotFoundError:
        names = library.list_builders(with_community_datasets=False)
        raise InputError(
            f"data.dataset: tensorflow-datasets {library.__version__} has no builder "
            f"{name!r}{_close(name, names)}; see https://www.tensorflow.org/datasets/catalog"
        ) from None
    except (RuntimeError, OSError, ValueError) as error:
        # Some read a list in Google's storage, or a file that their package lacks.
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"data.dataset: the builder {dataset} does not start ({first[:300]}); choose another, "
            "or check the network"
        ) from None


def _close(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
