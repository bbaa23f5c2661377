"""Where a category's file lives: at Google, on any web server, or in a folder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx

from quickspine.categories import tfds_file
from quickspine.errors import InputError
from quickspine.params.paths import resolve_path


@dataclass(frozen=True)
class Layout:
    """Where Google's bucket has the files of one kind, and how their names end."""

    path: str
    ending: str


BITMAPS = Layout("full/numpy_bitmap", ".npy")
LAYOUT = BITMAPS.path
STROKES = {kind: Layout(f"full/{kind}", ".ndjson") for kind in ("simplified", "raw")}
GOOGLE = f"https://storage.googleapis.com/quickdraw_dataset/{BITMAPS.path}"
ABSENT = (403, 404, 410)  # object stores answer 403 for what is not there and cannot be listed
PROBED = 3  # categories looked for before a web mirror is taken to have Google's layout


def file_name(category: str, layout: Layout = BITMAPS) -> str:
    """The name of a category's file on disk; no category can name a place elsewhere."""
    return quote(category, safe=" ") + layout.ending


@dataclass(frozen=True)
class Folder:
    """A folder that holds a file a category."""

    folder: Path
    shown: str  # the folder as the params name it, for messages and manifests
    layout: Layout = BITMAPS

    def path(self, category: str) -> Path:
        """The category's file, there or not."""
        return self.folder / file_name(category, self.layout)

    def url(self, category: str) -> str:
        """The category's file for messages and manifests."""
        if self.shown.lower().startswith("file:"):
            return f"{self.shown}/{quote(file_name(category, self.layout))}"
        return f"{self.shown}/{file_name(category, self.layout)}"


@dataclass(frozen=True)
class Web:
    """An http(s) place that holds a file a category; credentials are kept apart."""

    base: str  # without user, password and query
    query: str = ""
    auth: tuple[str, str] | None = None
    layout: Layout = BITMAPS

    @property
    def shown(self) -> str:
        """The place for messages and manifests, without what may be secret."""
        return self.base

    def url(self, category: str) -> str:
        """The category's URL for messages and manifests."""
        return f"{self.base}/{quote(category, safe='')}{self.layout.ending}"

    def request_url(self, category: str) -> str:
        """The category's URL to ask for; its query may be a secret, so it is never printed."""
        return self.url(category) + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class Published:
    """What is known of one of Google's files."""

    size: int  # bytes
    sha256: str


def parse(mirror: str, layout: Layout = BITMAPS) -> Folder | Web:
    """Read `data.mirror`: an http(s) or file:// URL, or a folder.

    Args:
        mirror: as the params have it.
        layout: which of its files are meant.

    Returns:
        A folder in its final layout (`full/numpy_bitmap/` inside it where there is one), or a
        web place as named: `settle` finds its layout.

    Raises:
        InputError: for other schemes, a malformed URL, or a folder without drawings.
    """
    scheme = mirror.partition(":")[0].lower()
    if scheme == "file":
        return _folder(mirror, _file_url_path(mirror, layout), layout)
    if scheme in ("http", "https"):
        return _web(mirror, layout)
    if "://" in mirror:
        raise _wrong(f"{scheme}:// is not supported", scheme + "://…", layout)
    path = resolve_path(mirror)
    return _folder(mirror, path, layout)


def settle(web: Web, categories: Sequence[str], status: Callable[[str], int]) -> Web:
    """Find where below a web mirror the files are: `full/numpy_bitmap/`, or the mirror itself.

    Args:
        web: the mirror as named; one that ends so is used as it is.
        categories: the names to look for, in order; the first few are enough.
        status: the HTTP status of a URL; raises where the server does not answer at all.
    """
    places = [web]
    if not web.base.endswith("/" + web.layout.path.rpartition("/")[2]):
        places.insert(0, replace(web, base=f"{web.base}/{web.layout.path}"))
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


def _wrong(problem: str, received: str, layout: Layout) -> InputError:
    return InputError(
        f"data.mirror: {problem}; give an http(s) URL, a file:// URL or a folder that holds "
        f"{layout.path}/<category>{layout.ending} or <category>{layout.ending}. "
        f"Received: {received}"
    )


def _web(mirror: str, layout: Layout) -> Web:
    try:
        parts = urlsplit(mirror)
        host, port = parts.hostname, parts.port
        httpx.URL(mirror)
    except (ValueError, httpx.InvalidURL):
        # What cannot be parsed cannot be cleared of secrets: it is not shown.
        raise _wrong("a malformed URL", mirror.partition(":")[0] + "://…", layout) from None
    if not host:
        raise _wrong("a URL without a host", f"{parts.scheme}://…", layout)
    host = f"[{host}]" if ":" in host else host
    netloc = host if port is None else f"{host}:{port}"
    base = urlunsplit((parts.scheme.lower(), netloc, parts.path.rstrip("/"), "", ""))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    auth = (user, password) if user or password else None
    return Web(base, parts.query, auth, layout)


def _file_url_path(mirror: str, layout: Layout) -> Path:
    try:
        parts = urlsplit(mirror)
        host = (parts.hostname or "").lower()
    except ValueError:
        raise _wrong("a malformed file:// URL", repr(mirror), layout) from None
    if host not in ("", "localhost"):
        problem = "a file:// URL names a host; write three slashes: file:///…"
        raise _wrong(problem, repr(mirror), layout)
    return Path(url2pathname(parts.path))


def _folder(mirror: str, path: Path, layout: Layout) -> Folder:
    shown = mirror.rstrip("/")
    if not path.is_dir():
        raise _wrong("no such folder", repr(mirror), layout)
    if (path / layout.path).is_dir():
        return Folder(path / layout.path, f"{shown}/{layout.path}", layout)
    try:
        if any(path.glob(f"*{layout.ending}")):
            return Folder(path, shown, layout)
    except OSError as error:
        problem = f"a folder that cannot be read ({error.strerror})"
        raise _wrong(problem, repr(mirror), layout) from None
    raise _wrong("a folder without drawings", repr(mirror), layout)
