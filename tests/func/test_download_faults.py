"""A server that misbehaves: either the exact drawings, or a named error and nothing in data/raw."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from quickspine import sources
from quickspine.errors import InputError, NoSpaceError
from quickspine.params import load
from quickspine.sources import download, npy_prefix
from quickspine.sources.storage import npy
from tests.func.downloading import (
    BODY,
    HEADER,
    LAYOUT,
    LOOK,
    RAW,
    ROWS,
    ask,
    check,
    drawings,
    fetch,
    google_file,
    make_mirror,
    put,
    refused,
)
from tests.mirror_server import Fault, MirrorServer

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("ice cream", "cat", "t-shirt")  # the first one is asked for to find the layout
END = HEADER + BODY - 1  # the last byte of a file
WHOLE = f"bytes={HEADER}-{END}"  # the request for all drawings
CUT = 20_000  # bytes of drawings that come before a connection breaks
REST = f"bytes={HEADER + CUT}-{END}"
FOR_EVER = 10**6
DRAWN = 1000  # bytes: only requests for drawings have more
REMEDY = (
    r"run it again \(what came so far is kept\), or set data\.mirror to another one"
    r"|check data\.mirror, or (set it to another one|take the category out of data\.categories)"
    r"|check data\.mirror, or have the file there mended"
    r"|have the file there mended, or set data\.mirror to another one"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror's root, in a project of its own; no proxy, no patience."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    for name in ("BACKOFF_S", "BACKOFF_CAP_S", "RETRY_AFTER_CAP_S"):
        monkeypatch.setattr(download, name, 0.001)
    monkeypatch.setattr(download, "READ_S", 0.5)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    return make_mirror(tmp_path, NAMES)


def page(content: bytes, headers: dict[str, str] | None = None) -> Fault:
    """This, whole, whatever is asked for."""
    return Fault(status=200, headers=headers or {}, body=content)


def redirect(target: str) -> Fault:
    return Fault(status=302, headers={"Location": target})


def status(code: int, retry_after: str | None = None) -> Fault:
    return Fault(status=code, headers={"Retry-After": retry_after} if retry_after else {})


FAULTS: dict[str, tuple[Fault, str]] = {
    "429": (status(429), "HTTP 429;"),
    "429 with patience": (status(429, "99999"), r"HTTP 429 \(Retry-After: 99,999 s\);"),
    "500": (status(500), "HTTP 500;"),
    "503 with a date": (
        status(503, "Fri, 01 Jan 2100 00:00:00 GMT"),
        r"HTTP 503 \(Retry-After: [\d,]+ s\);",
    ),
    "503 with rubbish": (status(503, "soon"), "HTTP 503;"),
    "404": (status(404), "HTTP 404;"),
    "403": (status(403), "HTTP 403;"),
    "401": (status(401), "HTTP 401;"),
    "416": (status(416), "HTTP 416"),
    "304": (status(304), "HTTP 304;"),
    "204": (status(204), "HTTP 204;"),
    "a redirect loop": (redirect(f"/{LAYOUT}/cat.npy"), "redirect"),
    "a redirect to ftp": (redirect("ftp://127.0.0.1/cat.npy"), "redirect that is not followed"),
    "a redirect to a file": (redirect("file:///etc/hostname"), "redirect that is not followed"),
    "a redirect to nowhere": (redirect("http://[::1/cat.npy"), "(?i)redirect|location"),
    "an end at once": (Fault(cut_after=0), "RemoteProtocolError"),
    "a reset at once": (Fault(cut_after=0, reset=True), "Re(ad|mote).*Error"),
    "a stall": (Fault(cut_after=0, stall=True), "ReadTimeout"),
    "not HTTP": (Fault(raw=b"\x15\x03\x01\x00\x02\x02\x16"), "RemoteProtocolError"),
    "no length": (Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "ProtocolError"),
    "a page": (page(b"<!DOCTYPE html><html>Log in!</html>"), "not a .npy file"),
    "an empty page": (page(b""), "inside its header"),
    "compressed": (page(b"\x1f\x8b", {"Content-Encoding": "gzip"}), r"compressed \(gzip\)"),
    "no range at all": (Fault(status=206, body=b"12345"), "another range"),
} | {
    f"the range {place!r}": (
        Fault(status=206, headers={"Content-Range": place}, body=b"x" * 9),
        "another range",
    )
    for place in ("bytes 5-9/99", "bytes 0-/99", "bytes 0-x/99", "pages 0-127/99", "junk")
}


@pytest.mark.parametrize("moment", ["header", "drawings"])
@pytest.mark.parametrize("kind", list(FAULTS))
def test_a_fault_is_named_and_costs_nothing_that_came(root: Path, kind: str, moment: str) -> None:
    fault, words = FAULTS[kind]
    few = DRAWN if moment == "drawings" else 0
    with MirrorServer(root) as server:
        data = ask(server.url.replace("://", "://me:s3cret@") + "?token=hu5h", NAMES)
        cut = [Fault("cat.npy", cut_after=CUT, longer_than=DRAWN)] if few else []
        server.faults = [*cut, replace(fault, where="cat.npy", times=FOR_EVER, longer_than=few)]
        text = refused(data)
        assert text.startswith(f"cat: {server.url}/{LAYOUT}/cat.npy: "), text
        if few and fault.status == 200:  # after a good header
            words += "|the file there changed while it was fetched"
        assert re.search(words, text), text
        assert re.search(REMEDY, text), text
        assert not any(secret in text for secret in ("s3cret", "hu5h", "me:"))
        if not few:  # of the others nothing travelled yet
            assert all(ranged in (LOOK, "bytes=0-0") for _, ranged in server.requests)

        server.faults, server.requests[:] = [], []
        fetch(data)
        if few:
            assert server.asked("cat.npy") == [LOOK, REST]
            assert server.asked("t-shirt.npy") == [LOOK]


@pytest.mark.core
def test_the_next_try_asks_only_for_the_rest(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with MirrorServer(root) as server:
        server.faults = [Fault("cat.npy", cut_after=CUT, longer_than=DRAWN)]
        refused(ask(server.url, NAMES), "cat:", "run it again (what came so far is kept)")
        server.requests.clear()
        fetch(ask(server.url, NAMES))
        assert server.asked("cat.npy") == [LOOK, REST]
        assert server.asked("t-shirt.npy") == [LOOK]
        server.faults = [Fault("cat.npy", cut_after=CUT, longer_than=DRAWN)]
        refused(ask(server.url))
        fetch(ask(server.url, drawings_per_category=20))  # what came serves no other number


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after=CUT),
        Fault(cut_after=CUT, stall=True),
        Fault(cut_after=CUT, reset=True),
        Fault(extra=b"more" * 999),
        Fault(claim=5_000),
        Fault(claim=10**9),
        Fault(claim=10**9, cut_after=CUT),
        *(status(code, "0") for code in (408, 429, 500, 502, 503, 504)),
    ],
)
@pytest.mark.parametrize("way", ["ranges and tags", "ranges", "neither"])
def test_a_fault_that_passes_and_lies_about_lengths_end_in_the_drawings(
    root: Path, way: str, fault: Fault
) -> None:
    ranges, tags = "ranges" in way, "tags" in way
    with MirrorServer(root, ranges=ranges, etags=tags) as server:
        server.faults = [replace(fault, where="cat.npy", longer_than=DRAWN if ranges else 0)]
        if fault.claim == 5_000 and not ranges:  # a whole file of that size would be damaged
            refused(ask(server.url), "promises more drawings than its 5000 bytes")
        fetch(ask(server.url))
        asked = [ranged for ranged in server.asked("cat.npy") if ranged != LOOK]
        if way == "ranges" and fault.cut_after:  # without a tag nothing is resumed
            assert asked[-2:] == [WHOLE, WHOLE]
        elif tags and fault.cut_after and not fault.reset:
            assert asked[-2:] == [WHOLE, REST]
            assert "If-Range" in server.headers[-1] or "If-Range" in server.headers[-2]


@pytest.mark.parametrize("claim", [5_000, 10**9])
def test_a_length_that_always_lies(root: Path, monkeypatch: pytest.MonkeyPatch, claim: int) -> None:
    """Short answers add up; where too much is promised, what comes is enough."""
    # The server closes each connection, and the next request may still be sent on the old one.
    monkeypatch.setattr(download, "ATTEMPTS", 5)
    with MirrorServer(root) as server:
        server.faults = [Fault("cat.npy", claim=claim, times=FOR_EVER, longer_than=DRAWN)]
        fetch(ask(server.url))


@pytest.mark.parametrize("moment", ["header", "drawings"])
def test_what_follows_a_range_is_not_what_follows_in_the_file(root: Path, moment: str) -> None:
    with MirrorServer(root) as server:
        fault = Fault("cat.npy", claim=128 + 4, extra=b"more")
        if moment == "drawings":
            content = google_file(drawings("cat"))
            body = content[HEADER : HEADER + CUT] + b"more"
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            place = f"bytes {HEADER}-{HEADER + CUT - 1}/{END + 1}"
            ranged = {"Content-Range": place, "ETag": tag}
            fault = Fault("cat.npy", status=206, headers=ranged, body=body, longer_than=DRAWN)
        server.faults = [fault]
        fetch(ask(server.url))


def test_a_cut_off_file_of_unknown_size_is_refused(root: Path) -> None:
    put(root / LAYOUT / "cat.npy", google_file(drawings("cat"))[:-1])
    with MirrorServer(root, ranges=False, sized=False) as server:
        refused(ask(server.url), "cat: ", "ends early")


def test_a_connection_that_always_breaks_is_used_while_much_comes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    monkeypatch.setattr(npy_prefix, "PROGRESS", CUT // 2)
    with MirrorServer(root) as server:
        server.faults = [Fault("cat.npy", cut_after=CUT, times=FOR_EVER, longer_than=DRAWN)]
        fetch(ask(server.url))
        assert server.asked("cat.npy")[-2:] == [REST, f"bytes={HEADER + 2 * CUT}-{END}"]


@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("again", ["within a try", "in the next try"])
def test_two_versions_are_never_mixed(
    root: Path, monkeypatch: pytest.MonkeyPatch, if_range: bool, again: str
) -> None:
    place = root / LAYOUT / "cat.npy"
    put(place, google_file(drawings("another")))
    new = google_file(drawings("cat"))
    with MirrorServer(root, if_range=if_range) as server:
        cut = Fault("cat.npy", cut_after=CUT, longer_than=DRAWN)
        if again == "in the next try":
            monkeypatch.setattr(download, "ATTEMPTS", 1)
            server.faults = [cut]
            refused(ask(server.url), "cat:")
            put(place, new)
        else:
            monkeypatch.setattr(download, "ATTEMPTS", 3)
            change = Fault("cat.npy", put=(f"{LAYOUT}/cat.npy", new), longer_than=DRAWN)
            server.faults = [cut, change]
        fetch(ask(server.url))
        asked = [WHOLE] if again == "in the next try" else [REST, LOOK, WHOLE]
        assert server.asked("cat.npy")[-len(asked) :] == asked


@pytest.mark.parametrize("tag", ['"caf\xe9"', '"\x01\x7f"', 'W/"1"', "", None])
def test_only_a_strong_tag_that_http_can_send_is_sent_back(root: Path, tag: str | None) -> None:
    with MirrorServer(root) as server:
        odd = page(google_file(drawings("cat")), {} if tag is None else {"ETag": tag})
        server.faults = [replace(odd, where="cat.npy", cut_after=CUT, times=3)]
        refused(ask(server.url))
        server.headers.clear()
        fetch(ask(server.url))
        sent = [headers["If-Range"] for headers in server.headers if "If-Range" in headers]
        assert tag not in sent
        assert all(re.fullmatch('"[0-9a-f]{16}"', each) for each in sent)


@given(st.text(max_size=60) | st.from_regex(r"(Fri, )?\d+ (Jan|Feb) \d+ \d+:\d+:\d+ [+-]?\d*"))
@example("9" * 5000)
@example("٣٣")
@example("Fri, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("Fri, 01 Jan 2020 00:00:00 +99999999999999999999")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_retry_after_is_a_number(text: str) -> None:
    assert 0 <= download._retry_after(text) < 1e12


def test_retry_after_is_heard_up_to_a_cap_and_a_long_wait_is_printed(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    wait = download._wait

    def noted(state: Any) -> float:
        waits.append(wait(state))
        return 0.02

    monkeypatch.setattr(download, "RETRY_AFTER_CAP_S", 60)
    monkeypatch.setattr(download, "ATTEMPTS", 6)
    monkeypatch.setattr(download, "NOTICE_S", 0.01)
    monkeypatch.setattr(download, "_wait", noted)
    wishes = ("7", "99999", "Fri, 01 Jan 2100 00:00:00 GMT", "soon", "Fri, 01 Jan 1990 00:00 GMT")
    with MirrorServer(root) as server:
        server.faults = [status(429, wish) for wish in wishes]
        fetch(ask(server.url))
    assert waits[:3] == [7, 60, 60]
    assert all(wait < 1 for wait in waits[3:])
    assert len(waits) == 5
    printed = capfd.readouterr().err
    assert "fetch: HTTP 429 (Retry-After: 99,999 s); the next try is in 0 s" in printed


def test_a_mirror_that_does_not_answer_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "READ_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        refused(ask(address), "data.mirror: no answer from", address, "ReadTimeout")
    refused(ask(address), "data.mirror: no answer from", address, "ConnectError")
    with MirrorServer(root) as server:
        server.faults = [replace(redirect("ftp://127.0.0.1/"), times=FOR_EVER)]
        text = refused(ask(server.url.replace("://", "://me:s3cret@")), "ice cream (a redirect")
    assert "set data.mirror to another URL or a folder" in text
    assert "s3cret" not in text


def test_a_server_in_trouble_is_not_taken_for_one_that_lacks_the_folder(root: Path) -> None:
    put(root / "cat.npy", google_file(drawings("cat")))
    with MirrorServer(root) as server:
        server.faults = [Fault("full", status=503, times=FOR_EVER)]
        refused(ask(server.url, ("cat", "ice cream")), f"{LAYOUT}/cat.npy: HTTP 503")


def test_a_fault_of_our_own_stops_all_and_is_not_hidden(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npy, "header", full)
    with (
        MirrorServer(root) as server,
        pytest.raises(NoSpaceError, match=r"downloads: No space left.*came so far is kept"),
    ):
        sources.fetch(ask(server.url, NAMES), RAW)


@pytest.mark.parametrize(
    ("source", "number"), [("quickdraw", signal.SIGTERM), ("strokes", signal.SIGINT)]
)
def test_a_signal_ends_a_fetch_from_a_silent_server_at_once(
    root: Path, source: str, number: signal.Signals
) -> None:
    """Several threads, or processes, wait for up to 30 s for bytes that do not come."""
    for name in NAMES:
        put(root / "full" / "simplified" / f"{name}.ndjson", bytes(2000))
    with MirrorServer(root) as server:
        server.faults = [Fault(cut_after=0, stall=True, times=FOR_EVER, longer_than=DRAWN)]
        values = load(ROOT / "params.yaml").model_dump(mode="json")
        values["data"] |= {"source": source, "mirror": server.url, "categories": list(NAMES)}
        values["data"] |= {"drawings_per_category": 9000, "allow_fewer": True}
        Path("params.yaml").write_text(json.dumps(values))  # YAML too
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.fetch"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))},
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while sum(fault.times for fault in server.faults) == FOR_EVER:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        started = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - started < 5
    assert process.returncode == 1
    assert errors.endswith("fetch: interrupted; nothing half-made was kept\n"), errors
    assert not list(Path("data").iterdir())


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
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    monkeypatch.setenv("SSL_CERT_FILE", str(known))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(known, secret)
    return context


def test_a_redirect_may_lead_to_tls_and_never_away_from_it(root: Path, tls: ssl.SSLContext) -> None:
    target = f"/{LAYOUT}/cat.npy"
    with MirrorServer(root, tls=tls) as safe, MirrorServer(root) as plain:
        plain.faults = [replace(redirect(safe.url + target), where="cat.npy", times=FOR_EVER)]
        fetch(ask(plain.url))
        assert safe.asked("cat.npy")

        plain.faults, plain.requests[:] = [], []
        safe.faults = [replace(redirect(plain.url + target), where="cat.npy", times=FOR_EVER)]
        assert re.search(r"cat.npy: a redirect .*from https to http\)", refused(ask(safe.url)))
        assert not plain.requests
        safe.faults = []
        fetch(ask(safe.url))


# Any faults in any order

HEADERS = [{}, {"Retry-After": "1"}, {"Retry-After": "x"}, {"ETag": '"1"'}, {"ETag": "\xff"}]
HEADERS += [{"Content-Range": place} for place in ("bytes 0-9/9", "bytes */128", "bytes 80-200/9")]
HEADERS += [{"Content-Range": f"bytes 0-127/{'9' * 6000}"}]
HEADERS += [
    {"Content-Encoding": "br"},
    {"Location": f"/{LAYOUT}/cat.npy"},
    {"Location": "ftp://x/"},
]
NEW = google_file(drawings("cat, later"))


@st.composite
def faults(draw: Callable[..., Any]) -> Fault:
    """One fault, for one request."""
    kind = draw(st.sampled_from(["status", "cut", "length", "raw", "put", "body"]))
    cut = draw(st.integers(0, BODY + 200))
    if kind == "status":
        statuses = [200, 204, 206, 302, 304, 307, 400, 403, 404, 408, 416, 429, 500, 503]
        old = google_file(drawings("cat"))
        body = draw(st.sampled_from([b"", b"<html>", old[:cut], NEW[:cut], old, NEW]))
        headers = draw(st.sampled_from(HEADERS))
        return Fault(status=draw(st.sampled_from(statuses)), headers=headers, body=body)
    if kind == "cut":
        return Fault(cut_after=cut, reset=draw(st.booleans()))
    if kind == "length":
        return Fault(claim=draw(st.integers(0, 2 * BODY)), extra=draw(st.sampled_from([b"", b"x"])))
    if kind == "raw":
        return Fault(raw=draw(st.binary(min_size=1, max_size=20)))
    if kind == "put":
        return Fault(put=(f"{LAYOUT}/cat.npy", NEW), cut_after=draw(st.none() | st.just(cut)))
    return page(draw(st.binary(max_size=200)))


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[tuple[bool, bool, bool], MirrorServer]]:
    """One for each way to be a server: with ranges, with tags, with If-Range."""
    ways = product((True, False), repeat=3)
    made = {(a, b, c): MirrorServer(Path(), ranges=a, etags=b, if_range=c) for a, b, c in ways}
    for server in made.values():
        server.__enter__()
    yield made
    for server in made.values():
        server.__exit__(None, None, None)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    way=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    trouble=st.lists(faults(), max_size=6),
    after=st.integers(0, 5),
)
def test_any_faults_in_any_order(
    root: Path,
    servers: dict[tuple[bool, bool, bool], MirrorServer],
    way: tuple[bool, bool, bool],
    trouble: list[Fault],
    after: int,
) -> None:
    """The exact drawings of one version, or an error and no data/raw; then, without faults, them.

    `after` requests go well before the first fault: the look for the layout, the headers.
    """
    server = servers[way]
    names = ("ice cream", "cat")
    versions = {name: [drawings(name), drawings(f"{name}, later")] for name in names}
    with tempfile.TemporaryDirectory(dir=root) as folder:
        os.chdir(folder)
        try:
            server.folder = make_mirror(Path(folder), names)
            well = [Fault() for _ in range(after)]
            server.faults = [*well, *(replace(fault, times=1) for fault in trouble)]
            for _ in range(2):
                try:
                    check(sources.fetch(ask(server.url, names), RAW), versions, ROWS)
                    break
                except InputError as error:
                    text = str(error)
                assert not RAW.exists()
                assert re.search(rf"(cat|ice cream): {server.url}|data\.mirror: ", text)
            server.faults = []
            check(sources.fetch(ask(server.url, names), RAW), versions, ROWS)
        finally:
            os.chdir(root)
