# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of the server, by real sockets on loopback: silence, slowness, crowds, no reading."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from piranha.gui import live, server
from piranha.gui.app import application
from piranha.gui.server import CannotServe, Loop, configured
from piranha.gui.site import Settings

from .fake import FakeBackend, FakeUsers, status

EDDA = {"name": "edda", "password": "e" * 12}


@contextlib.contextmanager
def served(
    backend: FakeBackend, certificate: str = "", key: str = "", unsent: int = 0
) -> Iterator[int]:
    """Serve the page on a port of the kernel's choice. unsent: bytes that its kernel holds."""
    settings = Settings(secure=bool(certificate), host="router-a")
    app = application(backend, FakeUsers(), settings)
    backend.page = app.state.site.live
    config = configured(app, "127.0.0.1", 0, certificate, key)
    made = uvicorn.Server(config)
    made.install_signal_handlers = lambda: None  # type: ignore[attr-defined]

    def run() -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(made._serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not made.started and time.monotonic() < end:
        time.sleep(0.01)
    listening = made.servers[0].sockets[0]
    if unsent:  # what it accepts is as it is
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, unsent)
    try:
        yield int(listening.getsockname()[1])
    finally:
        made.should_exit = made.force_exit = True
        thread.join(20)


def ended(sock: socket.socket, within: float) -> bool:
    """Whether the other side ends the connection in that time."""
    sock.settimeout(within)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_who_says_nothing_or_says_it_too_slowly_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_WITHIN", 0.5)
    with served(FakeBackend()) as port:
        silent = socket.create_connection(("127.0.0.1", port))
        slow = socket.create_connection(("127.0.0.1", port))
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            for sign in b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100:
                slow.send(bytes([sign]))
                time.sleep(0.02)
        assert time.monotonic() - begin < 5
        assert ended(silent, 5)
        assert ended(slow, 5)
        late = socket.create_connection(("127.0.0.1", port))
        late.send(b"GET /login HTTP/1.1\r\nHost: a\r\n\r\n")
        assert ended(late, 5)  # it has its answer, and then says nothing more


def test_one_address_does_not_take_all_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_OF_ONE", 5)
    with served(FakeBackend()) as port:
        socks = [socket.create_connection(("127.0.0.1", port)) for _each in range(5)]
        time.sleep(0.2)
        sixth = socket.create_connection(("127.0.0.1", port))
        assert ended(sixth, 5)
        for sock in socks:
            sock.close()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/login").status_code == 200:
                    break
            time.sleep(0.05)
        else:
            raise AssertionError("the places of those who left are not free again")


def test_a_viewer_that_never_reads_is_let_go_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "READ_WITHIN", 0.4)
    monkeypatch.setattr(live, "SHORTEST", 0.02)
    backend = FakeBackend()
    pages = [status(400), status(400)]
    for one in pages[1]["lvsd"]["virtual"]:
        one["scheduler"] = "x" * 300
    with (
        served(backend, unsent=4096) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        backend.status = pages[0]
        client.post("/login", data=EDDA)
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        cookie = client.cookies["piranha"]
        sock.send(f"GET /live HTTP/1.1\r\nHost: a\r\nCookie: piranha={cookie}\r\n\r\n".encode())
        end = time.monotonic() + 30
        turn, seen = 0, 0
        while not (seen and backend.page.viewers == 0) and time.monotonic() < end:
            turn += 1
            seen = max(seen, backend.page.viewers)
            backend.status = pages[turn % 2]
            begin = time.monotonic()
            assert client.get("/login").status_code == 200
            assert time.monotonic() - begin < 5
            time.sleep(0.03)
        assert (seen, backend.page.viewers) == (1, 0)
        sock.close()


def test_without_tls_only_this_machine_reaches_the_page(tmp_path: Path) -> None:
    app = application(FakeBackend(), FakeUsers(), Settings())
    for address in ("0.0.0.0", "192.0.2.1", "::", "router.example"):
        with pytest.raises(CannotServe, match="needs TLS"):
            configured(app, address, 3636, "", "")
    with pytest.raises(CannotServe, match="no such file"):
        configured(app, "0.0.0.0", 3636, str(tmp_path / "a"), str(tmp_path / "b"))
    (tmp_path / "a").write_text("no certificate")
    with pytest.raises(CannotServe, match="do not fit"):
        configured(app, "0.0.0.0", 3636, str(tmp_path / "a"), str(tmp_path / "a"))


def test_by_tls_the_page_answers_and_old_versions_get_nothing(tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "c"), str(tmp_path / "k")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-subj", "/CN=router-a", "-out", certificate, "-keyout", key]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    with served(FakeBackend(), certificate, key) as port:
        answer = httpx.get(f"https://127.0.0.1:{port}/login", verify=False)  # noqa: S501
        assert answer.status_code == 200
        assert "server" not in answer.headers
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_1"]
        old = subprocess.run(words, input=b"", capture_output=True, timeout=30, check=False)
        assert b"Cipher is (NONE)" in old.stdout or old.returncode != 0
