# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that sends for ever, or byte by byte, costs no more than its share of the processor.

The servers are a process of their own; measured is the processor time of this one, which checks.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from piranha.nanny.outcome import Finding, Outcome
from piranha.nanny.probe import probe
from piranha.nanny.spec import Check, Expectation, Match, ServiceCheck, SocketCheck, Wanted

CHECKS = 20
LIMIT = 1.0
SHARE = (0.02, 0.003)
"""Seconds of processor time that one check may take of a server that sends for ever, as fast as it
can, and of one that trickles; without the pauses of probe.py the latter takes twice that and more.
"""

SERVERS = """\
import asyncio, sys
async def endless(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    while True:
        writer.write(b"hay " * 4000)
        await writer.drain()
async def trickle(reader, writer):
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(float(sys.argv[1]))
def forgiving(serve):
    async def handle(reader, writer):
        try:
            await serve(reader, writer)
        except OSError:
            writer.close()
    return handle
async def main():
    ports = []
    for serve in (endless, trickle):
        server = await asyncio.start_server(forgiving(serve), "127.0.0.1", 0, backlog=1000)
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    import os; os._exit(0)
asyncio.run(main())
"""


@pytest.fixture(params=["0.001", "1"], ids=["a thousand bytes a second", "one byte a second"])
def ports(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    pipe = subprocess.PIPE
    argv = [sys.executable, "-c", SERVERS, request.param]
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        endless, trickle = map(int, process.stdout.readline().split())
        yield endless, trickle
        assert process.stdin is not None
        process.stdin.close()


def checks(port: int) -> list[Check]:
    needle = Expectation(Match.REGEX, b"need[l]e")
    body = Wanted(host="x", body_regex=b"need[l]e")
    return [
        SocketCheck("tcp", "127.0.0.1", port, LIMIT, b"hello\r\n", needle),
        ServiceCheck("http", "tcp", "127.0.0.1", port, LIMIT, body),
        ServiceCheck("smtp", "tcp", "127.0.0.1", port, LIMIT),
    ]


def cost(check: Check) -> tuple[float, list[Outcome]]:
    """Processor time of one of many equal checks under way together, and what came of them."""
    assert isinstance(check, SocketCheck | ServiceCheck)

    async def main() -> list[Outcome]:
        return await asyncio.gather(*(probe(check) for _each in range(CHECKS)))

    before = time.process_time()
    outcomes = asyncio.run(main())
    return (time.process_time() - before) / CHECKS, outcomes


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["regex", "http", "smtp"])
@pytest.mark.parametrize("server", [0, 1], ids=["endless", "trickle"])
def test_it_costs_its_share(ports: tuple[int, int], server: int, kind: int) -> None:
    began = time.monotonic()
    seconds, outcomes = cost(checks(ports[server])[kind])
    assert {outcome.finding for outcome in outcomes} == {Finding.BAD}
    assert seconds < SHARE[server]
    assert time.monotonic() - began < LIMIT + 5  # what a busy machine adds
