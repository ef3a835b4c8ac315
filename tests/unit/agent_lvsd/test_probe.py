# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks with real sockets against real servers on loopback that misbehave in every way."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import pytest
from piranha.nanny import probe as probe_module
from piranha.nanny.outcome import Finding, Outcome
from piranha.nanny.probe import Attempt, probe
from piranha.nanny.spec import Expectation, Match, SocketCheck

LIMIT = 0.4
OK = Expectation(Match.PREFIX, b"HTTP/1.1 200")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(
    serve: Serve,
    expect: Expectation | None = OK,
    send: bytes = b"GET / HTTP/1.0\r\n\r\n",
    limit: float = LIMIT,
) -> tuple[Outcome, float]:
    """Check a server that handles each connection with `serve`; outcome and seconds taken."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    async def main() -> tuple[Outcome, float]:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        check = SocketCheck("tcp", "127.0.0.1", port, limit, send, expect)
        before = time.monotonic()
        outcome = await probe(check)
        took = time.monotonic() - before
        server.close()
        return outcome, took

    return asyncio.run(main())


async def well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")


async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1")
    await asyncio.sleep(5)


async def half_and_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1")


async def nothing_and_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP")
    await writer.drain()
    await asyncio.sleep(0.05)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def too_slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"hay" * 1000)
        await writer.drain()


async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("serve", "finding", "words"),
    [
        (well, Finding.GOOD, 'answered "HTTP/1.1 200 OK"'),
        (wrong, Finding.BAD, 'answer began with "HTTP/1.1 503" instead of "HTTP/1.1 200"'),
        (silent, Finding.BAD, "connected, but no answer within 0.4 s"),
        (
            half,
            Finding.BAD,
            'answer "HTTP/1" was not completed within 0.4 s, expected "HTTP/1.1 200"',
        ),
        (
            half_and_closed,
            Finding.BAD,
            'closed the connection after "HTTP/1", expected "HTTP/1.1 200"',
        ),
        (nothing_and_closed, Finding.BAD, "closed the connection without an answer"),
        (reset, Finding.BAD, "connection reset by the server"),
        (endless, Finding.BAD, 'answer began with "hayhayhayhay" instead of "HTTP/1.1 200"'),
    ],
)
def test_every_way_to_answer_has_its_own_words(serve: Serve, finding: Finding, words: str) -> None:
    outcome, took = against(serve)
    assert (outcome.words, outcome.finding) == (words, finding)
    assert took < LIMIT + 0.3


def test_a_slow_answer_in_time_is_good_and_one_out_of_time_is_not() -> None:
    assert against(slow)[0].finding is Finding.GOOD
    outcome, took = against(too_slow)
    assert outcome.finding is Finding.BAD
    assert outcome.words.endswith('was not completed within 0.4 s, expected "HTTP/1.1 200"')
    assert LIMIT <= took < LIMIT + 0.3


def test_an_endless_answer_ends_a_search() -> None:
    outcome, took = against(endless, Expectation(Match.REGEX, b"needle"), limit=5)
    assert outcome.finding is Finding.BAD
    assert outcome.words == 'nothing in the first 16384 bytes matches "needle"'
    assert took < 2


def test_a_banner_is_found_by_regex_without_sending() -> None:
    assert against(banner, Expectation(Match.REGEX, b"^2[0-9]{2} "), b"")[0].finding is Finding.GOOD


def test_a_star_takes_any_answer_even_the_end() -> None:
    anything = Expectation(Match.ANY)
    assert against(banner, anything)[0].finding is Finding.GOOD
    assert against(nothing_and_closed, anything)[0].finding is Finding.GOOD
    assert against(silent, anything)[0].finding is Finding.BAD


def test_connecting_is_enough_where_nothing_is_expected() -> None:
    assert against(silent, None, b"")[0].words == "connected"
    assert against(silent, None, b"hello")[0].words == "connected, request sent"


def test_a_refused_connection_is_known_at_once() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        check = SocketCheck("tcp", "127.0.0.1", sock.getsockname()[1], 5.0)
        before = time.monotonic()
        outcome = asyncio.run(probe(check))
    assert (outcome.finding, outcome.words) == (Finding.BAD, "connection refused")
    assert time.monotonic() - before < 1


def test_a_full_backlog_is_no_connection() -> None:
    with socket.socket() as sock, socket.socket() as first, socket.socket() as second:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(sock.getsockname())
        outcome = asyncio.run(probe(SocketCheck("tcp", "127.0.0.1", sock.getsockname()[1], 0.3)))
    assert (outcome.finding, outcome.words) == (Finding.BAD, "no connection within 0.3 s")


def test_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        sock.listen()
        outcome = asyncio.run(probe(SocketCheck("tcp", "::1", sock.getsockname()[1], 1.0)))
    assert outcome.finding is Finding.GOOD


def udp(reply: bytes | None, expect: Expectation = OK) -> Outcome:
    class Server(asyncio.DatagramProtocol):
        transport: asyncio.DatagramTransport

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            if reply is not None and data == b"ping":
                self.transport.sendto(reply, addr)

    async def main() -> Outcome:
        loop = asyncio.get_running_loop()
        transport, _unused = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        outcome = await probe(SocketCheck("udp", "127.0.0.1", port, LIMIT, b"ping", expect))
        transport.close()
        return outcome

    return asyncio.run(main())


def test_udp() -> None:
    assert udp(b"HTTP/1.1 200" + b"x" * 2000).finding is Finding.GOOD
    assert udp(b"", Expectation(Match.ANY)).finding is Finding.BAD
    assert udp(b"no").words == 'answer began with "no" instead of "HTTP/1.1 200"'
    assert udp(None).words == "no answer within 0.4 s"


def test_udp_to_a_closed_port_is_known_at_once() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    before = time.monotonic()
    outcome = asyncio.run(probe(SocketCheck("udp", "127.0.0.1", port, 5.0, b"ping", OK)))
    assert (outcome.finding, outcome.words) == (Finding.BAD, "port unreachable")
    assert time.monotonic() - before < 1


def test_this_routers_own_trouble_is_not_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(check: SocketCheck) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(probe_module, "_socket", full)
    outcome = asyncio.run(probe(SocketCheck("tcp", "127.0.0.1", 80, 1.0)))
    assert outcome.finding is Finding.UNKNOWN
    assert outcome.words == "not checked: too many open files on this router"


def test_a_hundred_silent_servers_do_not_delay_a_good_one() -> None:
    async def main() -> tuple[list[Outcome], float]:
        with socket.socket() as mute, socket.socket() as sound:
            for sock in (mute, sound):
                sock.bind(("127.0.0.1", 0))
                sock.listen(200)
            mute_port, sound_port = mute.getsockname()[1], sound.getsockname()[1]
            hanging = [
                asyncio.create_task(probe(SocketCheck("tcp", "127.0.0.1", mute_port, 2.0, b"", OK)))
                for _unused in range(100)
            ]
            await asyncio.sleep(0.2)
            before = time.monotonic()
            outcome = await probe(SocketCheck("tcp", "127.0.0.1", sound_port, 2.0))
            took = time.monotonic() - before
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            return [outcome], took

    (outcome,), took = asyncio.run(main())
    assert outcome.finding is Finding.GOOD
    assert took < 0.2


def test_after_a_stall_the_answers_count_and_not_the_limits() -> None:
    """All limits have passed before one of hundreds of answers has been read."""
    count, seen = 3 * probe_module.AT_ONCE, list[Outcome]()

    async def main(port: int) -> None:
        attempts = [
            Attempt(SocketCheck("tcp", f"127.0.3.{number % 250}", port, 0.3), seen.append)
            for number in range(count)
        ]
        for attempt in attempts:
            attempt.start(asyncio.get_running_loop().time())
        time.sleep(0.6)
        await asyncio.sleep(0.1)

    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen(count)
        asyncio.run(main(sock.getsockname()[1]))
    assert [outcome.words for outcome in seen] == ["connected"] * count


def test_an_attempt_is_made_again_and_again_until_it_is_cancelled() -> None:
    seen: list[Outcome] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            port = sock.getsockname()[1]
            attempt = Attempt(SocketCheck("tcp", "127.0.0.1", port, 1.0), seen.append)
            for _unused in range(3):
                attempt.start(loop.time())
                await asyncio.sleep(0.05)
        attempt.start(loop.time())
        await asyncio.sleep(0.05)
        attempt.start(loop.time())
        attempt.cancel()
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert [outcome.words for outcome in seen] == ["connected"] * 3 + ["connection refused"]


def test_a_check_that_only_connects_leaves_nothing_behind() -> None:
    """It ends with a reset: no connection waits for a minute on the router."""

    async def main(sock: socket.socket) -> bytes | str:
        assert (await probe(SocketCheck("tcp", *sock.getsockname(), 1.0))).words == "connected"
        taken, _address = sock.accept()
        with taken:
            try:
                return taken.recv(1)
            except ConnectionResetError:
                return "reset"

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        assert asyncio.run(main(sock)) == "reset"
