"""A server that misbehaves: either the exact drawings, or a clear no and nothing in data/raw."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from quickspine import files, sources
from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import download, reply, resume
from quickspine.sources.storage import npy
from tests.mirror_server import Fault, MirrorServer

NAMES = ("ice cream", "cat", "t-shirt")  # the first one is asked for to find the layout
ROWS = 60
BODY = ROWS * npy.ROW
END = 127 + BODY  # the last byte of a file
RAW = Path("data/raw")
LOCK = "full/numpy_bitmap"
FOR_EVER = 10**6
REMEDY = (
    r"run it again \(what came so far is kept\), or set data\.mirror to another one"
    r"|check data\.mirror, or (set it to another one|take the category out of data\.categories)"
    r"|check data\.mirror, or have the file there mended"
    r"|have the file there mended, or set data\.mirror to another one"
)


@pytest.fixture(autouse=True)
def _impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of its own, no proxy, no patience."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    for name in ("BACKOFF_S", "BACKOFF_CAP_S", "RETRY_AFTER_CAP_S"):
        monkeypatch.setattr(download, name, 0.001)
    monkeypatch.setattr(download, "READ_S", 0.3)
    monkeypatch.setattr(download, "ATTEMPTS", 2)


def drawings(name: str, rows: int = ROWS) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    return np.random.default_rng(seed).integers(0, 256, (rows, npy.ROW), np.uint8)


def content(array: np.ndarray) -> bytes:
    return npy.header(len(array)) + array.tobytes()


def mirror(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """The root of a mirror whose files are a minute old."""
    place = folder / "mirror" / LOCK
    place.mkdir(parents=True)
    for name in names:
        path = place / f"{name}.npy"
        path.write_bytes(content(drawings(name)))
        then = path.stat().st_mtime - 60
        os.utime(path, (then, then))
    return folder / "mirror"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return mirror(tmp_path)


def params(place: str, names: tuple[str, ...] = NAMES, rows: int = ROWS) -> Data:
    return Data(
        source="quickdraw", categories=names, drawings_per_category=rows, mirror=place, seed=1
    )


def refused(data: Data) -> str:
    """The message of a fetch that leaves nothing."""
    with pytest.raises(InputError) as got:
        sources.fetch(data, RAW)
    assert not RAW.exists()
    assert not list(Path().rglob(".partial-*"))
    return str(got.value)


def check(data: Data, versions: dict[str, list[np.ndarray]] | None = None) -> None:
    """The drawings of one version of each file, and no half-made ones."""
    for name in data.categories:
        found = np.load(RAW / f"{name}.npy")
        known = (versions or {}).get(name, [drawings(name, max(ROWS, len(found)))])
        assert any(np.array_equal(found, one[: data.drawings_per_category]) for one in known), name
    assert not (files.STATE / "downloads").exists()


def own(content: bytes, headers: dict[str, str] | None = None) -> Fault:
    """Whatever is asked for: this, whole."""
    return Fault(status=200, headers=headers or {}, body=content)


def of(descr: str, order: str = "False", rows: int = ROWS, **more: Any) -> Fault:
    """A file of other drawings, whatever is asked for."""
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({rows}, 784)}}\n"
    head = npy.MAGIC + bytes((1, 0)) + len(text).to_bytes(2, "little") + text.encode()
    return own(head + drawings("other").tobytes(), **more)


def redirect(target: str) -> Fault:
    return Fault(status=302, headers={"Location": target})


FAULTS: dict[str, tuple[Fault, str]] = {
    "429": (Fault(status=429), "HTTP 429"),
    "429 with patience": (
        Fault(status=429, headers={"Retry-After": "99999"}),
        r"HTTP 429 \(it asks for 99,999 s of patience\)",
    ),
    "500": (Fault(status=500), "HTTP 500"),
    "503": (Fault(status=503), "HTTP 503"),
    "503 with a date": (
        Fault(status=503, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}),
        r"HTTP 503 \(it asks for [\d,]+ s of patience\)",
    ),
    "503 with rubbish": (Fault(status=503, headers={"Retry-After": "soon"}), "HTTP 503;"),
    "404": (Fault(status=404, body=b"not here"), "HTTP 404"),
    "403": (Fault(status=403), "HTTP 403"),
    "401": (Fault(status=401), "HTTP 401"),
    "418": (Fault(status=418), "HTTP 418"),
    "416": (Fault(status=416), "416"),
    "304": (Fault(status=304), "HTTP 304"),
    "204": (Fault(status=204), "HTTP 204"),
    "a redirect loop": (redirect(f"/{LOCK}/cat.npy"), "redirect"),
    "a redirect to ftp": (redirect("ftp://127.0.0.1/cat.npy"), "redirect that is not followed"),
    "a redirect to a file": (redirect("file:///etc/hostname"), "redirect that is not followed"),
    "a redirect to nowhere": (redirect("http://[::1/cat.npy"), "(?i)redirect|location"),
    "an end at once": (Fault(cut_after=0), "RemoteProtocolError"),
    "a reset at once": (Fault(cut_after=0, reset=True), "Re(ad|mote).*Error"),
    "a stall": (Fault(cut_after=0, stall=True), "ReadTimeout"),
    "not HTTP": (Fault(raw=b"\x15\x03\x01\x00\x02\x02\x16"), "RemoteProtocolError"),
    "no length": (
        Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
        "RemoteProtocolError",
    ),
    "a page": (own(b"<!DOCTYPE html><html>Log in!</html>"), "not a .npy file"),
    "an empty page": (own(b""), "inside its header"),
    "half a header": (own(content(drawings("cat"))[:60]), "inside its header"),
    "compressed": (own(b"\x1f\x8b", {"Content-Encoding": "gzip"}), "compressed"),
    "another range": (
        Fault(status=206, headers={"Content-Range": "bytes 5-9/99"}, body=b"12345"),
        "another range",
    ),
    "no range at all": (Fault(status=206, body=b"12345"), "another range"),
    "a damaged header": (own(content(drawings("cat")).replace(b"'", b"(")), "damaged .npy header"),
    "Fortran order": (of("|u1", order="True"), "Fortran"),
    "another type": (of("<f4"), "uint8"),
    "Python objects": (of("|O"), "never loaded"),
    "too many rows": (of("|u1", rows=2**62), "promises more drawings"),
    "a row too many": (of("|u1", rows=ROWS + 1), "promises more drawings"),
}


@pytest.mark.parametrize("moment", ["header", "drawings", "resumed"])
@pytest.mark.parametrize("kind", list(FAULTS))
def test_a_fault_is_named_and_costs_nothing_that_came(
    root: Path, kind: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, words = FAULTS[kind]
    with MirrorServer(root) as server:
        data = params(server.url.replace("://", "://me:s3cret@") + "?token=hu5h")
        url = f"{server.url}/{LOCK}/cat.npy"
        if moment == "resumed":
            server.faults = [Fault("cat.npy", cut_after=20_000, longer_than=1000, times=2)]
            monkeypatch.setattr(resume, "PROGRESS", 10**9)
            assert "cat: " in refused(data)
        few = 1000 if moment == "drawings" else 0
        server.faults = [replace(fault, where="cat.npy", times=FOR_EVER, longer_than=few)]
        text = refused(data)
        assert text.startswith(f"cat: {url}: "), text
        assert re.search(words, text), text
        assert re.search(REMEDY, text), text
        assert not any(secret in text for secret in ("s3cret", "hu5h", "me:"))

        if moment == "header":  # of the others nothing travelled yet
            assert not any(f"bytes=128-{END}" == ranged for _, ranged in server.requests)
        server.faults, server.requests[:], sent = [], [], server.bytes_sent
        sources.fetch(data, RAW)
        check(data)
        for whole in ("ice cream.npy", "t-shirt.npy"):  # one byte, to hear that it is the same
            last = f"bytes={END}-{END}" if moment != "header" else f"bytes=128-{END}"
            assert server.asked(whole)[-1] == last
        if moment == "resumed" and kind != "416":  # of another size, it said: then it is anew
            assert server.asked("cat.npy") == [f"bytes={128 + 2 * 20_000}-{END}"]
            assert server.bytes_sent - sent < BODY


def test_a_416_about_the_same_file_costs_nothing_that_came(root: Path) -> None:
    with MirrorServer(root) as server:
        data = params(server.url)
        server.faults = [Fault("cat.npy", cut_after=20_000, longer_than=1000, times=2)]
        refused(data)
        again = {"Content-Range": f"bytes */{128 + BODY}"}
        server.faults = [Fault("cat.npy", status=416, headers=again, times=2)]
        refused(data)
        server.requests.clear()
        sources.fetch(data, RAW)
        check(data)
        assert server.asked("cat.npy") == [f"bytes={128 + 2 * 20_000}-{END}"]


def test_a_layout_that_cannot_be_found_is_named(root: Path) -> None:
    with MirrorServer(root) as server:
        server.faults = [replace(redirect("ftp://127.0.0.1/"), times=FOR_EVER)]
        text = refused(params(server.url.replace("://", "://me:s3cret@")))
    assert f"no answer from {server.url} when looking for ice cream (a redirect" in text
    assert "set data.mirror to another URL or a folder" in text
    assert "s3cret" not in text


# Lies about lengths. Each of these can be seen through.


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(extra=b"more" * 999),
        Fault(claim=5_000),
        Fault(claim=10**9, cut_after=30_000),
        Fault(claim=10**9),
        Fault(cut_after=30_000, stall=True),
        Fault(cut_after=30_000, reset=True),
    ],
)
def test_lies_about_the_length_end_in_the_exact_drawings(
    root: Path, fault: Fault, ranges: bool
) -> None:
    with MirrorServer(root, ranges=ranges) as server:
        data = params(server.url)
        server.faults = [replace(fault, where="cat.npy", longer_than=1000 if ranges else 0)]
        if fault.claim == 5_000 and not ranges:  # a whole file of that size would be damaged
            assert "promises more drawings than its 5000 bytes" in refused(data)
        sources.fetch(data, RAW)
        check(data)


@pytest.mark.parametrize("moment", ["header", "drawings"])
def test_what_follows_a_range_is_not_what_follows_in_the_file(root: Path, moment: str) -> None:
    with MirrorServer(root) as server:
        data = params(server.url)
        sent = 128 if moment == "header" else 20_000
        fault = Fault("cat.npy", claim=sent + 4, extra=b"more")
        if moment == "drawings":
            body = content(drawings("cat"))[128 : 128 + sent] + b"more"
            ranged = {"Content-Range": f"bytes 128-{127 + sent}/{128 + BODY}"}
            fault = Fault("cat.npy", status=206, headers=ranged, body=body, longer_than=1000)
        server.faults = [fault]
        sources.fetch(data, RAW)
        check(data)


@pytest.mark.parametrize("claim", [5_000, 10**9])
def test_a_length_that_always_lies(root: Path, claim: int) -> None:
    """Short answers add up; where too much is promised, what comes is enough."""
    with MirrorServer(root) as server:
        data = params(server.url)
        server.faults = [Fault("cat.npy", claim=claim, times=FOR_EVER, longer_than=1000)]
        sources.fetch(data, RAW)
        check(data)


def test_a_connection_that_always_breaks_is_used_while_much_comes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    rows = 12 * resume.PROGRESS // npy.ROW
    (root / LOCK / "cat.npy").write_bytes(content(drawings("cat", rows)))
    (root / LOCK / "ice cream.npy").write_bytes(content(drawings("ice cream", rows)))
    with MirrorServer(root) as server:
        data = params(server.url, ("ice cream", "cat"), rows)
        broken = Fault("cat.npy", cut_after=2 * resume.PROGRESS, times=FOR_EVER, longer_than=1000)
        server.faults = [broken]
        sources.fetch(data, RAW)
        check(data)
        assert 6 <= FOR_EVER - broken.times <= 12


# Headers


ODD: dict[str, dict[str, str]] = {
    "a tag that HTTP cannot send": {"ETag": '"caf\xe9"'},
    "a tag of control characters": {"ETag": '"\x01\x7f"'},
    "a date of twenty digits": {"Last-Modified": "Fri, 01 Jan 99999999999999999999 00:00:00 GMT"},
    "a zone of twenty digits": {"Last-Modified": "Fri, 01 Jan 2020 00:00:00 +99999999999999999999"},
    "a weak tag": {"ETag": 'W/"1"'},
    "nothing to go by": {},
}


@pytest.mark.parametrize("kind", list(ODD))
def test_odd_headers_are_not_sent_back_and_not_believed(root: Path, kind: str) -> None:
    with MirrorServer(root) as server:
        data = params(server.url)
        odd = own(content(drawings("cat")), ODD[kind])
        server.faults = [replace(odd, where="cat.npy", cut_after=20_000, times=3)]
        refused(data)
        server.headers.clear()
        sources.fetch(data, RAW)
        check(data)
        sent = "".join(headers.get("If-Range", "") for headers in server.headers)
        assert not any(value in sent for value in ODD[kind].values())


def test_a_size_of_thousands_of_digits_is_no_size(root: Path) -> None:
    body = content(drawings("cat"))
    with MirrorServer(root) as server:
        data = params(server.url)
        ranged = {"Content-Range": f"bytes 0-{END}/{'9' * 6000}"}
        fault = Fault("cat.npy", status=206, headers=ranged, body=body, times=FOR_EVER)
        server.faults = [fault]
        sources.fetch(data, RAW)
        check(data)


@given(st.text(max_size=60) | st.from_regex(r"(Fri, )?\d+ (Jan|Feb) \d+ \d+:\d+:\d+ [+-]?\d*"))
@example("9" * 5000)
@example("٣٣")
@example("Fri, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("Fri, 01 Jan 2020 00:00:00 +99999999999999999999")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_wish_for_patience_is_a_number(text: str) -> None:
    assert 0 <= reply._retry_after(text) < 1e12


def test_a_long_wait_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download, "RETRY_AFTER_CAP_S", 0.2)
    with MirrorServer(root) as server:
        server.faults = [Fault("cat.npy", status=429, headers={"Retry-After": "99999"})]
        sources.fetch(params(server.url), RAW)
        assert "patience" not in capfd.readouterr().err  # it was short
        monkeypatch.setattr(download, "TOLD_S", 0.1)
        server.faults = [Fault("cat.npy", status=429, headers={"Retry-After": "99999"})]
        sources.fetch(params(server.url), RAW)
    told = capfd.readouterr().err
    assert "fetch: HTTP 429 (it asks for 99,999 s of patience); the next try is in 0 s" in told


# TLS


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS for the loopback, trusted by this process."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now, alone = datetime.now(UTC), x509.BasicConstraints(ca=True, path_length=None)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=True)
        .add_extension(alone, critical=True)
        .sign(key, hashes.SHA256())
    )
    known, secret = tmp_path / "certificate.pem", tmp_path / "key.pem"
    known.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    monkeypatch.setenv("SSL_CERT_FILE", str(known))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(known, secret)
    return context


def test_a_redirect_may_lead_to_tls_and_never_away_from_it(root: Path, tls: ssl.SSLContext) -> None:
    target = f"/{LOCK}/cat.npy"
    with MirrorServer(root, tls=tls) as safe, MirrorServer(root) as plain:
        data = params(plain.url)
        plain.faults = [replace(redirect(safe.url + target), where="cat.npy", times=FOR_EVER)]
        sources.fetch(data, RAW)
        check(data)
        assert safe.asked("cat.npy")

        plain.faults, plain.requests[:] = [], []
        safe.faults = [replace(redirect(plain.url + target), where="cat.npy", times=FOR_EVER)]
        with pytest.raises(InputError, match=r"cat.npy: a redirect .*from https to http\)"):
            sources.fetch(params(safe.url), RAW)
        assert not plain.requests
        safe.faults = []
        sources.fetch(params(safe.url), RAW)
        check(params(safe.url))


# Any faults in any order


HEADERS = [{}, {"Retry-After": "1"}, {"Retry-After": "x"}, {"ETag": '"1"'}, {"ETag": "\xff"}]
HEADERS += [{"Content-Range": place} for place in ("bytes 0-9/9", "bytes */128", "bytes 128-200/9")]
HEADERS += [{"Content-Encoding": "br"}, {"Location": f"/{LOCK}/cat.npy"}, {"Location": "ftp://x/"}]
NEW = content(drawings("cat, later"))


@st.composite
def faults(draw: Callable[..., Any]) -> Fault:
    """One fault, for one request."""
    kind = draw(st.sampled_from(["status", "cut", "length", "raw", "put", "body"]))
    cut = draw(st.integers(0, BODY + 200))
    if kind == "status":
        statuses = [200, 204, 206, 302, 304, 307, 400, 403, 404, 408, 416, 429, 500, 503]
        body = draw(st.sampled_from([b"", b"<html>", content(drawings("cat"))[:cut], NEW[:cut]]))
        headers = draw(st.sampled_from(HEADERS))
        return Fault(status=draw(st.sampled_from(statuses)), headers=headers, body=body)
    if kind == "cut":
        return Fault(cut_after=cut, reset=draw(st.booleans()))
    if kind == "length":
        return Fault(claim=draw(st.integers(0, 2 * BODY)), extra=draw(st.sampled_from([b"", b"x"])))
    if kind == "raw":
        return Fault(raw=draw(st.binary(min_size=1, max_size=20)))
    if kind == "put":
        return Fault(put=(f"{LOCK}/cat.npy", NEW), cut_after=draw(st.none() | st.just(cut)))
    return own(draw(st.binary(max_size=200)))


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[tuple[bool, bool, bool], MirrorServer]]:
    """One for each way to be a server: with ranges, with tags, with If-Range."""
    ways = [(ranges, tags, true) for ranges in (1, 0) for tags in (1, 0) for true in (1, 0)]
    made = {
        (bool(ranges), bool(tags), bool(true)): MirrorServer(
            Path(), ranges=bool(ranges), etags=bool(tags), if_range=bool(true)
        )
        for ranges, tags, true in ways
    }
    for server in made.values():
        server.__enter__()
    yield made
    for server in made.values():
        server.__exit__(None, None, None)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    way=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    trouble=st.lists(faults(), max_size=6),
    after=st.integers(0, 5),
)
def test_any_faults_in_any_order(
    servers: dict[tuple[bool, bool, bool], MirrorServer],
    way: tuple[bool, bool, bool],
    trouble: list[Fault],
    after: int,
) -> None:
    """The exact drawings of one version, or an error and no data/raw; then, without faults, them.

    `after` requests go well before the first fault: the look for the layout, the headers.
    """
    server, versions = servers[way], {"cat": [drawings("cat"), drawings("cat, later")]}
    home = Path.cwd()
    with tempfile.TemporaryDirectory(dir=home) as folder:
        os.chdir(folder)
        try:
            server.folder = mirror(Path(folder))
            data = params(server.url, ("ice cream", "cat"))
            well = [Fault(times=1, cut_after=None) for _ in range(after)]
            server.faults = [*well, *(replace(fault, times=1) for fault in trouble)]
            for _ in range(2):
                message = ""
                try:
                    sources.fetch(data, RAW)
                except InputError as error:
                    message = str(error)
                if not message:
                    check(data, versions)
                    break
                assert not RAW.exists()
                assert re.search(rf"(cat|ice cream): {server.url}|data\.mirror: ", message)
            server.faults = []
            sources.fetch(data, RAW)
            check(data, versions)
        finally:
            os.chdir(home)
