"""Links to folders and files outside the project, so that DVC sees when they change.

dvc.yaml cannot name `data.folder`: it depends on the link `inputs/data` instead, which DVC follows
and hashes like any dependency. The same holds for `inputs/weights` and `finetune.weights`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

from quickspine.console import make_output_safe
from quickspine.errors import InputError
from quickspine.params import Params, load
from quickspine.params.paths import resolve_path
from quickspine.yaml_file import read

FOLDER = Path("inputs")
NOTHING = Path("none")  # where a link leads when the params name nothing outside
BUILT_IN_WEIGHTS = ("imagenet", "none")
SHOWN = 3  # names in a message


def outside_data(params: Params) -> Path | None:
    """The folder that `fetch` reads, as the params name it; None for every other source.

    Data sets of tensorflow-datasets have versions and checksums of their own.
    """
    data = params.data
    if data.source in ("folder", "idx") and data.folder:
        return Path(data.folder)
    if data.source in ("quickdraw", "strokes"):
        parts = urlsplit(data.mirror)
        if parts.scheme == "file":
            return Path(unquote(parts.path))
        if parts.scheme not in ("http", "https"):
            return Path(data.mirror)
    return None


def outside_weights(params: Params) -> Path | None:
    """The weights file that `finetune` reads; None where the weights are built in."""
    weights = params.finetune.weights
    return None if weights in BUILT_IN_WEIGHTS else Path(weights)


def check(params: Params) -> None:
    """Refuse data outside the project that DVC cannot hash; it would name neither key nor file.

    Raises:
        InputError: if a folder or file that the params name is missing, or a folder holds what is
            neither file nor folder (DVC would wait for a pipe for ever), or a name not in UTF-8.
    """
    data, weights = outside_data(params), outside_weights(params)
    if data is not None and not _is_frozen("fetch"):
        key = "data.folder" if params.data.source in ("folder", "idx") else "data.mirror"
        folder = resolve_path(str(data))
        if not folder.is_dir():
            raise InputError(
                f"{key}: no such folder. Received: {data}; where data/raw is enough "
                "(a clone without the folder, an unplugged disk): dvc freeze fetch"
            )
        try:
            odd = list(islice(_odd_names(folder), SHOWN))
        except OSError as error:  # no permission; a link to itself
            raise InputError(
                f"{key}: {error.filename!r} cannot be read ({error.strerror}); mend or remove it"
            ) from None
        if odd:
            raise InputError(f"{key}: remove or rename {', '.join(odd)}")
    if weights is not None and params.finetune.enabled and not resolve_path(str(weights)).is_file():
        raise InputError(
            f"finetune.weights: no such file. Received: {weights}; "
            f"without a file there are {' and '.join(BUILT_IN_WEIGHTS)}"
        )


def _is_frozen(stage: str) -> bool:
    """Whether `dvc freeze` keeps DVC from running the stage."""
    project = Path("dvc.yaml")
    return project.is_file() and bool(read(project)["stages"][stage].get("frozen"))


def _odd_names(folder: Path) -> Iterator[str]:
    """What is no file or folder, or has no name in UTF-8, with the reason."""
    with os.scandir(folder) as entries:  # unlike a stat of each, it costs nothing a plain file
        for entry in entries:
            if any("\udc80" <= letter <= "\udcff" for letter in entry.name):  # bytes as they came
                yield f"{entry.path!a} (its name is not UTF-8; where it is, set PYTHONUTF8=1)"
            elif entry.is_dir(follow_symlinks=False):
                yield from _odd_names(Path(entry.path))
            elif not (entry.is_file() or entry.is_dir()):
                kind = "a broken link" if entry.is_symlink() else "neither file nor folder"
                yield f"{entry.path!r} ({kind})"


def link_data(params: Params) -> None:
    """Let `inputs/data` lead to the folder that `fetch` reads."""
    _link("data", outside_data(params))


def link_weights(params: Params) -> None:
    """Let `inputs/weights` lead to the file that `finetune` reads."""
    _link("weights", outside_weights(params))


def _is_in_git(path: Path) -> bool:
    """Whether git knows files of `path`: then clones and DVC's copies for experiments have them."""
    git = ("git", "ls-files", "--", str(path))
    try:
        return bool(subprocess.run(git, capture_output=True, check=False).stdout)  # noqa: S603
    except OSError:  # no git
        return False


def _link(name: str, target: Path | None) -> None:
    """Set a link, atomically; leave it where it leads to the right place already."""
    link = FOLDER / name
    if target is None:
        target = NOTHING
    else:
        target = resolve_path(str(target))
        if not target.exists():
            return  # DVC could not even start a stage with a link that leads nowhere
        if target.is_relative_to(Path.cwd()) and _is_in_git(target):
            target = Path(os.path.relpath(target, FOLDER))  # clones have it too
    if link.is_symlink() and link.readlink() == target:
        return
    FOLDER.mkdir(exist_ok=True)
    fresh = FOLDER / f".partial-{name}-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


if __name__ == "__main__":
    make_output_safe()
    try:
        chosen = load(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")
        check(chosen)
        link_data(chosen)
        link_weights(chosen)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
