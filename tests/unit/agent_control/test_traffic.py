# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster tests' measuring client measures right: a measure that cannot see a gap is none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from tests.cluster.traffic import Request, Traffic, first_answer_after, judge, summary

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answered(start: float, duration: float = 0.01, server: str = "a") -> Request:
    return Request(start, duration, server=server)


def test_summary_sees_the_gap_that_failures_leave() -> None:
    requests = [answered(n / 20) for n in range(20)]
    requests += [Request(1 + n / 20, 3.0, error="no complete answer") for n in range(10)]
    requests += [answered(1.5 + n / 20, server="b") for n in range(20)]
    figures = summary(requests)
    assert (figures.requests, figures.answered, figures.failed) == (50, 40, 10)
    assert figures.longest_gap == pytest.approx(0.55)
    assert figures.gap_start == pytest.approx(0.96)
    assert figures.servers == {"a": 20, "b": 20}
    assert figures.errors == {"no complete answer": 10}
    assert summary(requests, after=1.5).failed == 0
    assert summary(requests, before=1.0).failed == 0
    assert first_answer_after(requests, 1.0) == pytest.approx(0.51)
    assert first_answer_after(requests, 9.0) is None


def test_late_answers_in_a_heap_do_not_hide_the_gap() -> None:
    # All were begun in time and all were answered, but only once the SYN was repeated.
    requests = [answered(n / 20, duration=2.0 - n / 20) for n in range(40)]
    assert summary(requests).longest_gap == pytest.approx(1.95)


def test_a_gap_at_the_end_counts() -> None:
    requests = [answered(0.0), *(Request(n / 20, 3.0, error="x") for n in range(1, 41))]
    assert summary(requests).longest_gap == pytest.approx(1.99)


def test_nothing_asked_is_no_error() -> None:
    assert summary([]).requests == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nrs1", ("rs1", None)),
        (b"HTTP/1.1 200 OK\r\nX-Real-Server: rs2\r\n\r\n\n", ("rs2", None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nrs1", (None, "answer cut short")),
        (b"HTTP/1.1 503 No\r\n\r\n", (None, "status 503")),
        (b"HTTP/1.1 200 OK\r\nConte", (None, "answer cut short")),
        (b"", (None, "closed without an answer")),
        (b"SSH-2.0\r\n\r\n", (None, "answer cut short")),
    ],
)
def test_judge(answer: bytes, expected: tuple[str | None, str | None]) -> None:
    assert judge(answer) == expected


def run(serve: Serve, seconds: float, limit: float) -> Traffic:
    async def both() -> Traffic:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        traffic = Traffic(f"http://127.0.0.1:{port}/", limit=limit)
        async with server:
            await traffic.run(asyncio.Event(), seconds)
        return traffic

    return asyncio.run(asyncio.wait_for(both(), 20))


def test_requests_are_independent_of_slow_ones() -> None:
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        slow = count % 2 == 0
        await reader.readuntil(b"\r\n\r\n")
        if slow:
            with contextlib.suppress(asyncio.TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(), 5)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nfast")
        writer.close()

    traffic = run(serve, seconds=1.0, limit=0.5)
    figures = summary(traffic.requests)
    assert figures.requests + traffic.skipped == 20
    assert figures.errors == {"no complete answer within 0.5 s": figures.requests // 2}
    assert figures.servers == {"fast": figures.requests - figures.requests // 2}


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1", ""])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no address like"):
        Traffic(url)
