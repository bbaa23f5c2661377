"""Google's drawings: the first ones of each category, from `data.mirror`.

28×28 grey drawings of the Quick, Draw! data set, https://github.com/googlecreativelab/quickdraw-dataset,
white strokes on black. Of a file of 90 to 250 MB only the header and the drawings asked for travel.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import threading
from pathlib import Path

from quickspine import files
from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import Collection, Fetched, mirror
from quickspine.sources.at_once import Advance, every
from quickspine.sources.download import Session
from quickspine.sources.partial import Partial
from quickspine.sources.reply import DownloadError
from quickspine.sources.resume import Download, Take
from quickspine.sources.storage import npy
from quickspine.sources.wanted import check_published, look, plan, read
from quickspine.space import naming, need_space

SYNTHETIC = False
LICENCE = "CC BY 4.0"
ATTRIBUTION = (
    "The Quick, Draw! Dataset, made available by Google, Inc. "
    "(https://github.com/googlecreativelab/quickdraw-dataset)"
)


def fetch(data: Data, folder: Path) -> Collection:
    """Write the first `data.drawings_per_category` drawings of each category into `folder`.

    Of a web mirror, what came so far is kept under `quickspine.files.STATE` until all is there,
    and the next try asks for the rest.

    Returns:
        One `Fetched` a category, in the order of `data.categories`; `<category>.npy` holds uint8
        [rows, 784] in C order.

    Raises:
        InputError: names every category that cannot be had, its URL, and what would do.
    """
    place = mirror.parse(data.mirror)
    count, each = len(data.categories), data.limit
    most = ("up to ", "at most ") if data.allow_fewer else ("", "")
    print(
        f"fetch: {count:,} categories × {most[0]}{each:,} drawings"  # noqa: RUF001 (times, not x)
        f" = {most[1]}{count * each * npy.ROW / 1e6:,.1f} MB from {place.shown}",
        file=sys.stderr,
        flush=True,
    )
    if isinstance(place, mirror.Folder):
        return Collection(_from_folder(data, place, folder))
    kept = files.STATE / "downloads"
    with files.lock("downloads"), naming(kept, "what came so far is kept"):
        return Collection(_from_web(data, place, kept, folder))


def _from_folder(data: Data, place: mirror.Folder, folder: Path) -> list[Fetched]:
    def judged(category: str) -> Take:
        return look(place.path(category), plan(data, place.url(category)))

    def copy(category: str, take: Take, advance: Advance) -> Fetched:
        target = folder / mirror.file_name(category)
        with files.whole_file(target) as partial, partial.open("wb") as out:
            head = npy.header(take.body // npy.ROW)
            out.write(head)
            hasher = hashlib.sha256(head)  # of what is written: it is not read again for that
            for chunk in read(place.path(category), take):
                out.write(chunk)
                hasher.update(chunk)
                advance(len(chunk))
        return _fetched(category, place.url(category), target, take, hasher.hexdigest())

    return every(
        data, place, judged, copy, lambda need: _need(folder.parent, need), threading.Event()
    )


def _need(place: Path, size: int) -> None:
    need_space(place, size, "lower data.drawings_per_category, or ask for fewer data.categories")


def _from_web(data: Data, named: mirror.Web, kept: Path, folder: Path) -> list[Fetched]:
    kept.mkdir(parents=True, exist_ok=True)
    with Session(named.auth, secure=named.base.startswith("https:")) as session:
        try:
            place = mirror.settle(named, data.categories, session.status)
        except DownloadError as error:
            raise InputError(
                f"data.mirror: no answer from {named.shown} when looking for "
                f"{data.categories[0]} ({error}); check the network, or set data.mirror to "
                "another URL or a folder"
            ) from None
        downloads = {}
        for category in data.categories:
            name = f"{mirror.file_name(category)}-{files.digest(place.url(category))[:16]}"
            partial = Partial(kept / name, reserve=len(npy.header(1)))
            judge = plan(data, place.url(category))
            downloads[category] = Download(session, place.request_url(category), partial, judge)

        def complete(category: str, _: Take, advance: Advance) -> Fetched:
            partial = downloads[category].partial
            take = downloads[category].run(advance)
            check_published(place.url(category), partial, take)
            partial.seal(npy.header(take.body // npy.ROW))
            sha256 = files.sha256(partial.body)
            return _fetched(category, place.url(category), partial.body, take, sha256)

        def check(need: int) -> None:
            here = sum(download.partial.have for download in downloads.values())
            _need(kept, need - here)
            if folder.stat().st_dev != kept.stat().st_dev:
                _need(folder.parent, need)

        entries = every(
            data, place, lambda name: downloads[name].look(), complete, check, session.stop
        )
    same_disk = folder.stat().st_dev == kept.stat().st_dev
    for category in data.categories:
        body, target = downloads[category].partial.body, folder / mirror.file_name(category)
        if same_disk:
            body.rename(target)
        else:  # a full disk there then costs no download
            shutil.copyfile(body, target)
    shutil.rmtree(kept)
    return entries


def _fetched(category: str, url: str, path: Path, take: Take, sha256: str) -> Fetched:
    name, rows = mirror.file_name(category), take.body // npy.ROW
    return Fetched(category, name, url, rows, path.stat().st_size, sha256)
