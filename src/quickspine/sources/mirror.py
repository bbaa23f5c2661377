"""Where a category's file lives: at Google, on any web server, or in a folder."""

from __future__ import annotations

import functools
import re
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
    """A folder that holds a file a category, under Google's name or the one a download has."""

    folder: Path
    shown: str  # the folder as the params name it, for messages and manifests
    layout: Layout = BITMAPS

    def path(self, category: str) -> Path:
        """The category's file, whether or not it exists."""
        exact = self.folder / file_name(category, self.layout)
        return exact if exact.is_file() else self._downloads.get(_plain(category), exact)

    def url(self, category: str) -> str:
        """The category's file for messages and manifests."""
        name = self.path(category).name
        return f"{self.shown}/{quote(name) if self.shown.lower().startswith('file:') else name}"

    def request_url(self, category: str) -> str:
        """The category's path, to read from."""
        return str(self.path(category))

    def similar(self, category: str) -> str | None:
        """The name of a file that may be meant, such as `cat (1).npy` or `CAT.NPY`, if any."""
        ending, prefix = self.layout.ending, _plain(f"{self.layout.path}/")
        for path in sorted(self.folder.glob("*")):
            stem = _plain(path.stem).removeprefix(prefix)
            if path.suffix.lower() == ending and _letters(stem) == _letters(_plain(category)):
                return path.name
        return None

    @functools.cached_property
    def _downloads(self) -> dict[str, Path]:
        """The files by category: `full_numpy_bitmap_ice%20cream.npy` is that of "ice cream".

        Browsers and curl name them so after the object `full/numpy_bitmap/ice cream.npy`.
        """
        prefix = _plain(f"{self.layout.path}/")
        paths = sorted(self.folder.glob(f"*{self.layout.ending}"), reverse=True)
        return {_plain(path.stem).removeprefix(prefix): path for path in paths}


@dataclass(frozen=True)
class Web:
    """An http(s) place that holds a file a category; credentials are kept apart."""

    shown: str  # the base URL without user, password and query
    query: str = ""
    auth: tuple[str, str] | None = None
    layout: Layout = BITMAPS

    def url(self, category: str) -> str:
        """The category's URL for messages and manifests."""
        return f"{self.shown}/{quote(category, safe='')}{self.layout.ending}"

    def request_url(self, category: str) -> str:
        """The category's URL to request; its query may be a secret, so it is never printed."""
        return self.url(category) + (f"?{self.query}" if self.query else "")

    def layouts(self) -> list[Web]:
        """Where the files may be: in Google's folder inside this place, or in the place itself.

        One that ends in `numpy_bitmap` is used as it is.
        """
        if self.shown.endswith("/" + self.layout.path.rpartition("/")[2]):
            return [self]
        return [replace(self, shown=f"{self.shown}/{self.layout.path}"), self]


Place = Folder | Web


def parse(mirror: str, layout: Layout = BITMAPS) -> Place:
    """Read `data.mirror`: an http(s) or file:// URL, or a folder.

    Returns:
        A folder that holds the files of `layout`, or a web place as named, whose files are in one
        of its `layouts`.

    Raises:
        InputError: for other schemes, a malformed URL, or a folder without drawings.
    """
    scheme = mirror.partition(":")[0].lower()
    web = scheme in ("http", "https")
    try:
        if web:
            return _web(mirror, layout)
        if scheme == "file":
            return _folder(mirror, _file_url_path(mirror), layout)
        if "://" in mirror:
            raise ValueError(f"{scheme}:// is not supported")
        path = resolve_path(mirror)
        return _folder(mirror, path, layout)
    except ValueError as error:
        secret = web or ("://" in mirror and scheme != "file")  # it may hold a password
        example = f"<category>{layout.ending}"
        raise InputError(
            f"data.mirror: {error}; give an http(s) URL, a file:// URL or a folder that holds "
            f"{layout.path}/{example} or {example}. "
            f"Received: {f'{scheme}://…' if secret else repr(mirror)}"
        ) from None


def published(url: str, google: str = GOOGLE) -> tuple[int, str] | None:
    """Size and sha256 that Google published of the whole file at `url`; None where not Google's.

    Other mirrors may hold parts of Google's files: their sizes and digests may differ.
    """
    asked, own = urlsplit(url), urlsplit(google)
    folder, _, name = asked.path.rpartition("/")
    if (asked.netloc.lower(), folder) != (own.netloc.lower(), own.path):
        return None
    return _checksums().get(unquote(name))


@functools.cache
def _checksums() -> dict[str, tuple[int, str]]:
    """File name to size and sha256, as tensorflow-datasets recorded them."""
    text = tfds_file("datasets/quickdraw_bitmap/checksums.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line]
    return {url.rpartition("/")[2]: (int(size), sha256) for url, size, sha256, _ in rows}


def _web(mirror: str, layout: Layout) -> Web:
    try:
        parts = urlsplit(mirror)
        host, port = parts.hostname, parts.port
        httpx.URL(mirror)
    except (ValueError, httpx.InvalidURL):
        raise ValueError("a malformed URL") from None  # their messages quote it
    if not host:
        raise ValueError("a URL without a host")
    host = f"[{host}]" if ":" in host else host
    netloc = host if port is None else f"{host}:{port}"
    base = urlunsplit((parts.scheme.lower(), netloc, parts.path.rstrip("/"), "", ""))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Web(base, parts.query, (user, password) if user or password else None, layout)


def _file_url_path(mirror: str) -> Path:
    parts = urlsplit(mirror)
    if (parts.hostname or "").lower() not in ("", "localhost"):
        raise ValueError("a file:// URL names a host; write three slashes: file:///…")
    return Path(url2pathname(parts.path))


def _folder(mirror: str, path: Path, layout: Layout) -> Folder:
    shown = mirror.rstrip("/")
    if not path.is_dir():
        raise ValueError("is a file" if path.exists() else "no such folder")
    for inner in (layout.path, layout.path.rpartition("/")[2]):
        if (path / inner).is_dir():
            return Folder(path / inner, f"{shown}/{inner}", layout)
    try:
        if any(file.suffix.lower() == layout.ending for file in path.glob("*")):
            return Folder(path, shown, layout)
    except OSError as error:
        raise ValueError(f"a folder that cannot be read ({error.strerror})") from None
    raise ValueError("a folder without drawings")


def _plain(name: str) -> str:
    """A file's name without quoting, case, and the difference between separators."""
    return unquote(name).replace("/", " ").replace("_", " ").replace("+", " ").casefold()


def _letters(name: str) -> str:
    """A plain name's letters and digits, without the number of a second download or copy."""
    return re.sub(r" ?\(\d+\)$| (?:- )?copy$|[^\w]", "", name)
