"""Builders of tensorflow-datasets: find one by its name, and have it prepare its data set.

tensorflow-datasets is imported late (seconds) and kept quiet.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import logging as standard
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quickspine.console import start_tensorflow
from quickspine.errors import InputError
from quickspine.sources.file_types import ENOUGH, describe_content
from quickspine.sources.selection import list_names
from quickspine.space import amount, naming, need_space

ATTEMPTS = 5  # for each file: seconds of patience where nothing answers, not tfds's three minutes
_IMAGENET = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")
# Builders whose links no longer lead anywhere, and one of those.
_DEAD = {"cars196": "http://ai.stanford.edu/~jkrause/car196/cars_train.tgz"}


@contextlib.contextmanager
def start_tfds() -> Iterator[Any]:
    """Yield the module `tensorflow_datasets`, which prints errors only inside this block.

    Its progress bars are shown on a terminal: in a log they are a line each second.
    """
    start_tensorflow()
    logging = importlib.import_module("absl.logging")
    retries = standard.getLogger("urllib3.connectionpool")  # warns of each try
    levels = retries.level, logging.get_verbosity()
    retries.setLevel(standard.ERROR)
    logging.set_verbosity(logging.ERROR)
    try:
        tfds = importlib.import_module("tensorflow_datasets")
        downloader: Any = importlib.import_module("tensorflow_datasets.core.download.downloader")
        downloader.MAX_RETRIES = ATTEMPTS
        if not (sys.stderr is not None and sys.stderr.isatty()):
            tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):  # its boxes of text
            yield tfds
    finally:
        retries.setLevel(levels[0])
        logging.set_verbosity(levels[1])


def find_builder(tfds: Any, dataset: str, folder: str | None) -> Any:
    """Return the builder of `dataset`, a name or name/config; prepared or not.

    Args:
        tfds: what `start_tfds` yields.
        dataset: as `data.dataset` has it.
        folder: where data sets are kept; None: where tfds keeps them. One that was prepared there
            by a builder unknown here is found too.

    Raises:
        InputError: if there is no such builder or configuration; names the closest.
    """
    name, _, config = dataset.partition("/")
    try:
        configs = sorted(tfds.builder_cls(name).builder_configs)
    except ValueError:  # no such builder, or no name that one can have
        configs = None
    if configs is not None and config and config not in configs:
        known = f"one of {list_names(configs)}" if configs else f"none: write {name}"
        raise InputError(
            f"data.dataset: {name} has no configuration {config!r}{_closest(config, configs)}; "
            f"it has {known}"
        )
    if configs is not None and len(configs) > 1 and not config:
        raise InputError(
            f"data.dataset: {name} has several configurations; write {name}/ and one of "
            f"{list_names(configs)}"
        )
    try:
        return tfds.builder(dataset, data_dir=folder)
    except (RuntimeError, OSError, ValueError) as error:
        if configs is None:
            names = tfds.list_builders(with_community_datasets=False)
            raise InputError(
                f"data.dataset: tensorflow-datasets {tfds.__version__} has no builder "
                f"{name!r}{_closest(name, names)}; a name or name/config is needed, without a "
                "version: see https://www.tensorflow.org/datasets/catalog"
            ) from None
        # Some read a list in Google's storage, or a file that their package lacks.
        raise InputError(
            f"data.dataset: the builder {dataset} does not start ({_first_line(error)}); choose "
            "another, or check the network"
        ) from None


def prepare(tfds: Any, builder: Any) -> None:
    """Have `builder` download and prepare its data set, unless that was done.

    Raises:
        InputError: if it cannot be downloaded, or files that only a person can get are missing or
            are others; says which, from where, and where they belong.
        NoSpaceError: if the disk has too little room.
    """
    if builder.is_prepared():
        return
    root, full = Path(builder.data_dir_root), builder.info.full_name
    manual = root / "downloads" / "manual"
    _check_manual(builder, manual)
    size = _least_bytes(builder, manual)
    need_space(root, size, "set data.folder to a place with more")
    verb = "prepares" if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else "downloads and prepares"
    print(
        f"fetch: tensorflow-datasets {verb} {full} (from {amount(size)}) in {root}",
        file=sys.stderr,
        flush=True,
    )
    requests = importlib.import_module("requests")
    manager: Any = importlib.import_module("tensorflow_datasets.core.download.download_manager")
    extractor: Any = importlib.import_module("tensorflow_datasets.core.download.extractor")
    config = tfds.download.DownloadConfig(
        try_download_gcs=False, compute_stats=tfds.download.ComputeStatsMode.SKIP
    )
    try:
        with naming(root, "what was downloaded is kept"):
            builder.download_and_prepare(download_config=config)
    except (
        tfds.download.DownloadError,
        requests.RequestException,
        manager.NonMatchingChecksumError,
        extractor.ExtractError,
    ) as error:
        dead = _DEAD.get(builder.name)
        again = f"its links are dead ({dead} answers HTTP 404)" if dead else "check the network"
        there = ", ".join(path.name for path in _put_there(builder, manual))
        if there:
            again = f"check what is in {manual} ({there})"
        raise InputError(
            f"data.dataset: {full} cannot be downloaded: {_first_line(error)}; {again}; or, where "
            f"you have it prepared, put that folder at {builder.data_dir} or set data.folder to "
            f"the one that holds it; or get the files yourself: {_by_hand(builder, manual)}"
        ) from None
    except ImportError as error:
        raise InputError(
            f"data.dataset: {full} needs a package to be prepared that is not installed "
            f"({error.name or _first_line(error)}); prepare it elsewhere and set data.folder"
        ) from None
    except (AssertionError, FileNotFoundError) as error:
        if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise
        raise _missing(builder, manual, _first_line(error)) from None


def _put_there(builder: Any, manual: Path) -> dict[Path, tuple[str, int]]:
    """Return files that somebody put into tfds's folder for such, to their URLs and sizes."""
    known = (builder.url_infos or {}).items()
    files = {manual / info.filename: (url, info.size) for url, info in known if info.filename}
    return {path: expected for path, expected in files.items() if path.is_file()}


def _check_manual(builder: Any, manual: Path) -> None:
    """Refuse missing or wrong files in the folder for those that a person gets, before any work."""
    for path, (url, size) in _put_there(builder, manual).items():
        if (there := path.stat().st_size) != size:
            with path.open("rb") as file:
                what = describe_content(file.read(ENOUGH))
            raise InputError(
                f"data.dataset: {path} is not the file of {url}: it is {what} and has {there:,} "
                f"bytes, {size:,} are expected; put the right one there, or remove it"
            )
    if builder.name == "imagenet2012":
        missing = [name for name in _IMAGENET if not (manual / name).is_file()]
        if missing:
            raise InputError(
                f"data.dataset: imagenet2012 cannot be downloaded by a program; register at "
                f"https://image-net.org/download-images and put {' and '.join(_IMAGENET)} "
                f"(138 GB and 6 GB) into {manual}. Missing: {', '.join(missing)}"
            )
    elif builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not (manual.is_dir() and any(manual.iterdir())):
        raise _missing(builder, manual, "no such folder, or an empty one")


def _missing(builder: Any, manual: Path, problem: str) -> InputError:
    instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
    return InputError(
        f"data.dataset: {builder.info.full_name} cannot be downloaded by a program; its files "
        f"belong into {manual} ({problem}): {instructions}"
    )


def _least_bytes(builder: Any, manual: Path) -> int:
    """Return how many bytes are needed at least, as far as is known before a download.

    The prepared data set is about as large as the files it comes from.
    """
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return sum(file.stat().st_size for file in manual.iterdir() if file.is_file())
    sizes = [int(info.size) for info in (builder.url_infos or {}).values()]
    several = 1 < len(builder.builder_configs) <= len(sizes)  # a file a configuration
    return 2 * (min(sizes) if several else sum(sizes))


def _by_hand(builder: Any, manual: Path) -> str:
    """Say which files tfds would take from its folder for such, in place of a download."""
    known = builder.url_infos or {}
    named = [f"{info.filename} of {url}" for url, info in known.items() if info.filename]
    more = f" and {len(named) - 4} more" if len(named) > 4 else ""
    return f"put {', '.join(named[:4])}{more} into {manual}" if named else "see its homepage"


def _closest(name: str, known: list[str]) -> str:
    plain = name.lower().replace("-", "_")
    found = difflib.get_close_matches(plain, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
