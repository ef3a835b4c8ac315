# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of check against a server of our own that fails in each way that can be told apart."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from piranha.nanny.outcome import Finding, Outcome
from piranha.nanny.probe import probe
from piranha.nanny.spec import ServiceCheck, TlsWish, Wanted

from . import servers

LIMIT = 0.5
KINDS = ("http", "https", "tls", "dns", "smtp", "redis", "postgres", "mysql", "agent")
SECURE = ("https", "tls")
# The beginning of a good answer of each kind: what a server sends that dies in the middle of it.
HALF = {
    "http": b"HTTP/1.1 20",
    "https": b"\x16\x03\x03",
    "tls": b"\x16\x03\x03",
    "dns": b"\0\x20\1",
    "smtp": b"220-mail",
    "redis": b"+PO",
    "postgres": b"R\0\0",
    "mysql": b"\x4a\0\0\0\x0a10.1",
    "agent": b"u",
}
# The same without end: something that never says that it is complete.
ENDLESS = {
    "http": b"HTTP/1.1 200 OK\r\nX: ",
    "dns": b"\xff\xff\0\x20\x81\0",
    "smtp": b"220-mail\r\n",
    "redis": b"-x",
    "postgres": b"N\0\0\0\4",
    "mysql": b"\xff\xff\xff\0\x0a",
    "agent": b"up, ",
}

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(
    kind: str, serve: Serve, secure: ssl.SSLContext | None = None
) -> tuple[Outcome, float]:
    """Outcome and seconds of a check against a server that handles connections with `serve`.

    secure: the server speaks TLS, and `serve` has what is said within.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    async def main() -> tuple[Outcome, float]:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=secure)
        port = server.sockets[0].getsockname()[1]
        tls = TlsWish() if kind in SECURE else None
        wanted = Wanted(host="x", user="check", send=b"status\n")
        before = time.monotonic()
        outcome = await probe(ServiceCheck(kind, "tcp", "127.0.0.1", port, LIMIT, wanted, tls))
        took = time.monotonic() - before
        server.close()
        return outcome, took

    return asyncio.run(main())


def bad(kind: str, serve: Serve, words: str, secure: ssl.SSLContext | None = None) -> None:
    """It failed in time and in these words (a regular expression)."""
    outcome, took = against(kind, serve, secure)
    assert outcome.finding is Finding.BAD
    assert re.fullmatch(words, outcome.words), outcome.words
    assert took < LIMIT + 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_silent(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    bad(kind, serve, r"connected, but no (answer|greeting|TLS handshake) within 0\.5 s")


@pytest.mark.parametrize("kind", KINDS)
def test_half_an_answer(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HALF[kind])
        await asyncio.sleep(5)

    if kind in SECURE:
        bad(kind, serve, r"connected, but no TLS handshake within 0\.5 s")
    else:
        bad(kind, serve, r"(answer|greeting) \".*\" was not completed within 0\.5 s")


@pytest.mark.parametrize("kind", KINDS)
def test_one_byte_at_a_time(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in HALF[kind] + b"x" * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    outcome, took = against(kind, serve)
    assert outcome.finding is Finding.BAD
    assert took < LIMIT + 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_closed_without_and_within_an_answer(kind: str) -> None:
    async def without(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind not in ("smtp", "mysql"):
            await reader.read(1000)

    async def within(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HALF[kind])
        if kind not in ("smtp", "mysql"):
            await reader.read(1000)

    if kind in SECURE:
        bad(kind, without, "closed the connection during the TLS handshake")
        bad(kind, within, "closed the connection during the TLS handshake")
        return
    bad(kind, without, "closed the connection without an? (answer|greeting)")
    if kind == "agent":  # the end of the stream ends an agent's line
        bad(kind, within, 'the agent said "u", which has no meaning')
    else:
        bad(kind, within, 'closed the connection after ".*", half of the (answer|greeting)')


@pytest.mark.parametrize("kind", KINDS)
def test_reset_in_the_middle(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HALF[kind])
        await writer.drain()
        await asyncio.sleep(0.05)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    bad(kind, serve, "connection reset by the server")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate of its own."""
    certificate, key = servers.certificate(tmp_path_factory.mktemp("tls"), "x")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


HTTP = b"HTTP/1.1 200 OK\r\n"
WITHIN: dict[str, tuple[bytes, bytes, str]] = {
    "silent": (b"", b"", r"connected, but no answer within 0\.5 s"),
    "half": (HTTP[:11], b"", r"answer \".*\" was not completed within 0\.5 s"),
    "wrong": (b"220 mail\r\n\r\n", b"", "answered .*, which is not HTTP/1"),
    "endless": (HTTP, b"X: x\r\n" * 1000, "no end of the answer in its first 16384 bytes"),
}
"""Of a server that speaks TLS well: what it says within it once, again and again; the verdict."""


@pytest.mark.parametrize("way", WITHIN)
def test_within_tls(way: str, secure: ssl.SSLContext) -> None:
    once, again, words = WITHIN[way]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(once)
        while again:
            writer.write(again)
            await writer.drain()
        await asyncio.sleep(5)

    bad("https", serve, words, secure)


def test_closed_and_reset_within_tls(secure: ssl.SSLContext) -> None:
    async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HTTP[:11])

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    bad("https", closed, 'closed the connection after ".*", half of the answer', secure)
    bad("https", reset, "connection reset by the server", secure)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_answer(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\1 teapot teapot teapot\r\n" * 3)
        await asyncio.sleep(5)

    words = {
        "https": "answered something that is not TLS|TLS failed: .*",
        "tls": "answered something that is not TLS|TLS failed: .*",
        "dns": "answered something that does not belong to the question",
        "agent": "the agent said .* which has no meaning",
    }
    bad(kind, serve, words.get(kind, "answered .*, which is not .*"))


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_answer(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ENDLESS[kind])
        while True:
            writer.write((ENDLESS[kind] if kind != "http" else b"x") * 1000)
            await writer.drain()

    words = {  # they say beforehand how long they are, so that this one is known for a wrong one
        "dns": "answered something that does not belong to the question",
        "mysql": "answered .*, which is not MySQL",
    }
    bad(
        kind,
        serve,
        words.get(kind)
        or "no end of the (answer|greeting) in its first (16384|1024) bytes"
        "|.* was not completed within 0.5 s|connected, but no answer within 0.5 s",
    )


def test_a_server_that_trickles_costs_no_more_than_its_share() -> None:
    """200 servers send a byte every 20 ms and never end; a sound one is not delayed by them."""

    async def main() -> tuple[float, int]:
        async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while True:
                    writer.write(b"1")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        check = ServiceCheck("redis", "tcp", "127.0.0.1", port, 1.0)
        hanging = [asyncio.create_task(probe(check)) for _unused in range(200)]
        good = await asyncio.start_server(answer, "127.0.0.1", 0)
        await asyncio.sleep(0.3)
        before = time.monotonic()
        sound = ServiceCheck("redis", "tcp", "127.0.0.1", good.sockets[0].getsockname()[1], 1.0)
        outcome = await probe(sound)
        took = time.monotonic() - before
        ended = await asyncio.gather(*hanging)
        server.close()
        good.close()
        assert outcome.finding is Finding.GOOD
        return took, sum(each.finding is Finding.BAD for each in ended)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"+PONG\r\n")
        writer.close()

    took, failed = asyncio.run(main())
    assert took < 0.3
    assert failed == 200
