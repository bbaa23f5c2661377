"""Having a data set prepared by its builder, or saying what to do instead."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from quickspine.errors import InputError
from quickspine.space import amount, naming, need_space

_IMAGENET = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")
# Builders whose links no longer lead anywhere, and one of those.
_DEAD = {"cars196": "http://ai.stanford.edu/~jkrause/car196/cars_train.tgz"}


def prepare(library: Any, builder: Any) -> None:
    """Have `builder` download and prepare its data set, unless that was done.

    Raises:
        InputError: if it cannot be downloaded, or files that only you can get are missing;
            says which, from where, and where they belong.
        NoSpaceError: if the disk has too little room.
    """
    if builder.is_prepared():
        return
    root = Path(builder.data_dir_root)
    manual = root / "downloads" / "manual"
    _check_manual(builder, manual)
    size = _least(builder, manual)
    need_space(root, size, "set data.folder to a place with more")
    verb = "prepares" if builder.MANUAL_DOWNLOAD_INSTRUCTIONS else "downloads and prepares"
    print(
        f"fetch: tensorflow-datasets {verb} {builder.info.full_name} (from {amount(size)}) in "
        f"{root}",
        file=sys.stderr,
        flush=True,
    )
    config = library.download.DownloadConfig(
        try_download_gcs=False, compute_stats=library.download.ComputeStatsMode.SKIP
    )
    requests = importlib.import_module("requests")
    manager = importlib.import_module("tensorflow_datasets.core.download.download_manager")
    extractor = importlib.import_module("tensorflow_datasets.core.download.extractor")
    unreachable = (library.download.DownloadError, requests.RequestException)
    damaged = (manager.NonMatchingChecksumError, extractor.ExtractError)
    try:
        with naming(root, "what was downloaded is kept"):
            builder.download_and_prepare(download_config=config)
    except unreachable as error:
        raise InputError(_unreachable(builder, manual, error)) from None
    except damaged as error:
        raise InputError(
            f"data.dataset: {builder.info.full_name}: {_first(error)}; run it again, or get the "
            f"files yourself: {_by_hand(builder, manual)}"
        ) from None
    except ImportError as error:
        raise InputError(
            f"data.dataset: {builder.info.full_name} needs a package to be prepared that is not "
            f"installed ({error.name or _first(error)}); prepare it elsewhere and set data.folder"
        ) from None
    except (AssertionError, FileNotFoundError) as error:
        if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise
        raise InputError(_missing(builder, manual, _first(error))) from None


def _check_manual(builder: Any, manual: Path) -> None:
    """Say which files that only a registered person can get are missing, before anything runs."""
    if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return
    if builder.name == "imagenet2012":
        missing = [name for name in _IMAGENET if not (manual / name).is_file()]
        if missing:
            raise InputError(
                f"data.dataset: imagenet2012 cannot be downloaded by a program; register at "
                f"https://image-net.org/download-images and put {' and '.join(_IMAGENET)} "
                f"(138 GB and 6 GB) into {manual}. Missing: {', '.join(missing)}"
            )
    elif not manual.is_dir() or not any(manual.iterdir()):
        raise InputError(_missing(builder, manual, "no such folder, or an empty one"))


def _missing(builder: Any, manual: Path, problem: str) -> str:
    told = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
    return (
        f"data.dataset: {builder.info.full_name} cannot be downloaded by a program; its files "
        f"belong into {manual} ({problem}): {told}"
    )


def _least(builder: Any, manual: Path) -> int:
    """Bytes that are needed at least: what is known before a download, never too much.

    The prepared data set is about as large as the files it comes from.
    """
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return sum(file.stat().st_size for file in manual.iterdir() if file.is_file())
    sizes = [int(info.size) for info in (builder.url_infos or {}).values()]
    several = 1 < len(builder.builder_configs) <= len(sizes)  # a file a configuration
    return 2 * (min(sizes) if several else sum(sizes))


def _unreachable(builder: Any, manual: Path, error: Exception) -> str:
    full = builder.info.full_name
    dead = _DEAD.get(builder.name)
    if dead:
        return (
            f"data.dataset: {full}: the links of its builder are dead ({dead} answers HTTP 404; "
            f"now: {_first(error)}); if you have it prepared, such as on another machine, put that "
            f"folder at {builder.data_dir}, or set data.folder to the folder that holds "
            f"{builder.name}; if you have its files: {_by_hand(builder, manual)}"
        )
    return (
        f"data.dataset: {full} cannot be downloaded: {_first(error)}; check the network and run it "
        f"again, set data.folder to a folder that holds it prepared ({full} in it), or "
        f"get the files yourself: {_by_hand(builder, manual)}"
    )


def _by_hand(builder: Any, manual: Path) -> str:
    """Which files tfds would take from its folder for such, in place of a download."""
    known = builder.url_infos or {}
    named = [f"{info.filename} of {url}" for url, info in known.items() if info.filename]
    more = f" and {len(named) - 4} more" if len(named) > 4 else ""
    return f"put {', '.join(named[:4])}{more} into {manual}" if named else "see its homepage"


def _first(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
