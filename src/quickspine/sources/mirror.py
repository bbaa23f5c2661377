"""Where a category's file lives: at Google, on any web server, or in a folder."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx

from quickspine.categories import tfds_file
from quickspine.errors import WrongInputError

LAYOUT = "full/numpy_bitmap"
GOOGLE = f"https://storage.googleapis.com/quickdraw_dataset/{LAYOUT}"
ABSENT = (403, 404, 410)  # object stores answer 403 for what is not there and cannot be listed
PROBED = 3  # categories looked for before a web mirror is taken to have Google's layout


def file_name(category: str) -> str:
    """The name of a category's file on disk; no category can name a place elsewhere."""
    return quote(category, safe=" ") + ".npy"


@dataclass(frozen=True)
class Folder:
    """A folder that holds `<category>.npy` files."""

    folder: Path
    shown: str  # the folder as the params name it, for messages and manifests

    def path(self, category: str) -> Path:
        """The category's file, there or not."""
        return self.folder / file_name(category)

    def url(self, category: str) -> str:
        """The category's file for messages and manifests."""
        if self.shown.lower().startswith("file:"):
            return f"{self.shown}/{quote(file_name(category))}"
        return f"{self.shown}/{file_name(category)}"


@dataclass(frozen=True)
class Web:
    """An http(s) place that holds `<category>.npy` files; credentials are kept apart."""

    base: str  # without user, password and query
    query: str = ""
    auth: tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """The place for messages and manifests, without what may be secret."""
        return self.base

    def url(self, category: str) -> str:
        """The category's URL for messages and manifests."""
        return f"{self.base}/{quote(category, safe='')}.npy"

    def request_url(self, category: str) -> str:
        """The category's URL to ask for; its query may be a secret, so it is never printed."""
        return self.url(category) + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class Published:
    """What is known of one of Google's files."""

    size: int  # bytes
    sha256: str


def parse(mirror: str) -> Folder | Web:
    """Read `data.mirror`: an http(s) or file:// URL, or a folder.

    Returns:
        A folder in its final layout (`full/numpy_bitmap/` inside it where there is one), or a
        web place as named: `settle` finds its layout.

    Raises:
        WrongInputError: for other schemes, a malformed URL, or a folder without drawings.
    """
    scheme = mirror.partition(":")[0].lower()
    if scheme == "file":
        return _folder(mirror, _file_url_path(mirror))
    if scheme in ("http", "https"):
        return _web(mirror)
    if "://" in mirror:
        raise _wrong(f"{scheme}:// is not supported", scheme + "://…")
    return _folder(mirror, Path(os.path.expanduser(mirror)))  # noqa: PTH111 (it never raises)


def settle(web: Web, categories: Sequence[str], status: Callable[[str], int]) -> Web:
    """Find where below a web mirror the files are: `full/numpy_bitmap/`, or the mirror itself.

    Args:
        web: the mirror as named; one that ends in `numpy_bitmap` is used as it is.
        categories: the names to look for, in order; the first few are enough.
        status: the HTTP status of a URL; raises where the server does not answer at all.
    """
    places = [web]
    if not web.base.endswith("/numpy_bitmap"):
        places.insert(0, replace(web, base=f"{web.base}/{LAYOUT}"))
    for category in categories[:PROBED]:
        for place in places:
            if status(place.request_url(category)) not in ABSENT:
                return place
    return places[0]


def published(url: str, google: str = GOOGLE) -> Published | None:
    """What Google published of the whole file at `url`; None where `url` is not Google's.

    Other mirrors may hold parts of Google's files: their sizes and digests may differ.

    Args:
        url: of a category's file.
        google: the place whose files are Google's own.
    """
    asked, own = urlsplit(url), urlsplit(google)
    folder, _, name = asked.path.rpartition("/")
    if (asked.netloc.lower(), folder) != (own.netloc.lower(), own.path):
        return None
    return _checksums().get(unquote(name))


@functools.cache
def _checksums() -> dict[str, Published]:
    """File name to what tensorflow-datasets recorded of it: url, size, sha256, quoted name."""
    text = tfds_file("datasets/quickdraw_bitmap/checksums.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line]
    return {url.rpartition("/")[2]: Published(int(size), sha) for url, size, sha, _ in rows}


def _wrong(problem: str, received: str) -> WrongInputError:
    return WrongInputError(
        f"data.mirror: {problem}; give an http(s) URL, a file:// URL or a folder that holds "
        f"{LAYOUT}/<category>.npy or <category>.npy. Received: {received}"
    )


def _web(mirror: str) -> Web:
    try:
        parts = urlsplit(mirror)
        host, port = parts.hostname, parts.port
        httpx.URL(mirror)
    except (ValueError, httpx.InvalidURL):
        # What cannot be parsed cannot be cleared of secrets: it is not shown.
        raise _wrong("a malformed URL", mirror.partition(":")[0] + "://…") from None
    if not host:
        raise _wrong("a URL without a host", f"{parts.scheme}://…")
    host = f"[{host}]" if ":" in host else host
    netloc = host if port is None else f"{host}:{port}"
    base = urlunsplit((parts.scheme.lower(), netloc, parts.path.rstrip("/"), "", ""))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Web(base, parts.query, (user, password) if user or password else None)


def _file_url_path(mirror: str) -> Path:
    try:
        parts = urlsplit(mirror)
        host = (parts.hostname or "").lower()
    except ValueError:
        raise _wrong("a malformed file:// URL", repr(mirror)) from None
    if host not in ("", "localhost"):
        raise _wrong("a file:// URL names a host; write three slashes: file:///…", repr(mirror))
    return Path(url2pathname(parts.path))


def _folder(mirror: str, path: Path) -> Folder:
    shown = mirror.rstrip("/")
    if not path.is_dir():
        raise _wrong("no such folder", repr(mirror))
    if (path / LAYOUT).is_dir():
        return Folder(path / LAYOUT, f"{shown}/{LAYOUT}")
    try:
        if any(path.glob("*.npy")):
            return Folder(path, shown)
    except OSError as error:
        raise _wrong(f"a folder that cannot be read ({error.strerror})", repr(mirror)) from None
    raise _wrong("a folder without drawings", repr(mirror))
