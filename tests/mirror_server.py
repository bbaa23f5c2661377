"""A real HTTP server on the loopback for tests: a folder's files, and faults on demand."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

PIECE = 16_384  # bytes written, and counted, at once


@dataclass
class Fault:
    """What the server does instead, `times` times, for requests whose path holds `where`."""

    where: str = ""
    times: int = 1
    status: int = 0  # answer so; 0: serve the file
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None  # break the connection after so many bytes of the body
    reset: bool = False  # break it with a TCP reset rather than an early end
    stall: bool = False  # after `cut_after`: say nothing more until the client leaves
    claim: int | None = None  # the Content-Length to send, whatever is true
    extra: bytes = b""  # sent after the whole of the body
    raw: bytes = b""  # sent in place of an answer in HTTP
    put: tuple[str, bytes] | None = None  # before it answers: a file of the folder, its new content
    longer_than: int = 0  # only for ranges of more bytes (0: all), to spare the look at a header


class MirrorServer:
    """Serves `folder`; counts what it sends.

    Args:
        folder: its root.
        ranges: whether it knows Range requests.
        etags: whether it sends strong ETags (of the content).
        if_range: whether it knows If-Range; one that does not sends the range of any version.
        sized: whether it says how long a whole answer is; otherwise it sends chunks.
        tls: to serve https with.

    Example:
        with MirrorServer(folder) as server:
            fetch(server.url)
        assert server.bytes_sent < 1000

    Attributes:
        url: without a slash at its end.
        bytes_sent: of all answers with drawings or pages, headers apart.
        requests: (path, Range header or "") in the order of their coming.
        headers: of the same requests.
        faults: append to it, at any time.
    """

    def __init__(
        self,
        folder: Path,
        ranges: bool = True,
        etags: bool = True,
        if_range: bool = True,
        sized: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.folder, self.ranges, self.etags, self.if_range = folder, ranges, etags, if_range
        self.sized = sized
        self.bytes_sent = 0
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.busy = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.mirror = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def asked(self, name: str) -> list[str]:
        """The Range headers of the requests for the file `name`, in order."""
        return [ranged for path, ranged in self.requests if path.endswith(f"/{name}")]

    def fault(self, path: str, length: int) -> Fault | None:
        """The fault due for this request, counted as done."""
        with self.busy:
            for fault in self.faults:
                if fault.times and fault.where in path and length > fault.longer_than:
                    fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    mirror: MirrorServer
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave early are what the tests want; nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        """Serve a file, a part of it, or a fault."""
        mirror, ranged = self.server.mirror, self.headers.get("Range", "")
        path = unquote(urlsplit(self.path).path)
        with mirror.busy:
            mirror.requests.append((path, ranged))
            mirror.headers.append(dict(self.headers))
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", ranged)
        first, last = (int(match[1]), int(match[2])) if match else (0, 1 << 62)
        fault = mirror.fault(path, last - first + 1)
        if fault and fault.raw:
            self.wfile.write(fault.raw)
            self.close_connection = True
            return None
        if fault and fault.put:
            (mirror.folder / fault.put[0]).write_bytes(fault.put[1])
        if fault and fault.status:
            return self._send(fault.status, fault.headers, fault.body, fault)
        place = mirror.folder / path.lstrip("/")
        if not place.is_file():
            return self._send(404, {}, b"not here")
        content = place.read_bytes()
        headers = {"Accept-Ranges": "bytes"} if mirror.ranges else {}
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if mirror.etags:
            headers["ETag"] = etag
        headers["Last-Modified"] = self.date_time_string(int(place.stat().st_mtime))
        wanted = self.headers.get("If-Range", "") if mirror.if_range else ""
        current = wanted in ("", headers.get("ETag"), headers.get("Last-Modified"))
        if match and mirror.ranges and current:
            if first >= len(content):
                return self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            last = min(last, len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            return self._send(206, headers, content[first : last + 1], fault)
        return self._send(200, headers, content, fault)

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None
    ) -> None:
        chunked = status == 200 and not self.server.mirror.sized
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            claimed = fault.claim if fault and fault.claim is not None else len(body)
            self.send_header("Content-Length", str(claimed))
        self.end_headers()
        if fault and fault.extra:
            body += fault.extra
        stop = len(body) if fault is None or fault.cut_after is None else fault.cut_after
        # A small buffer, so that what a client leaves unread is not counted by the megabyte.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
        for at in range(0, stop, PIECE):
            piece = body[at : min(at + PIECE, stop)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            with self.server.mirror.busy:
                self.server.mirror.bytes_sent += len(piece)
        if fault and (fault.extra or fault.claim is not None):
            self.close_connection = True
        if stop < len(body):
            self.close_connection = True
            if fault and fault.stall:
                self.connection.recv(1)
            if fault and fault.reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")
