# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that asks for a page again and again, and tells what no average would.

It opens a new connection every interval (50 ms), independently of all others, so that one slow
request or a repeated SYN does not hide a gap. A request failed when there was no complete answer
within the limit (3 s). Standard library only: it runs in a container, in a network namespace, or
over ssh. Cluster tests, the demo and benchmarks use it; it does not judge, it only counts.

    traffic.py http://203.0.113.10/ --seconds 10          a summary at the end
    traffic.py http://203.0.113.10/ --json result.json    until INT or TERM; requests one by one
    traffic.py http://203.0.113.10/ --follow              each request as a JSON line at once

Who answered is the header `X-Real-Server`, or the first line of the body that is not empty.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import signal
import sys
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

INTERVAL = 0.05
LIMIT = 3.0
NAME_LENGTH = 64
BODY_LIMIT = 1024 * 1024
HTTP_OK = 200


@dataclass(frozen=True)
class Request:
    """One request: `start` in seconds since the epoch, `duration` in seconds.

    Either `server` (who answered) or `error` (one short reason) is set.
    """

    start: float
    duration: float
    server: str | None = None
    error: str | None = None

    @property
    def end(self) -> float:
        """Give when the answer was complete, or the request was given up."""
        return self.start + self.duration


@dataclass(frozen=True)
class Summary:
    """What a number of requests looked like together; times in seconds."""

    requests: int
    answered: int
    failed: int
    longest_gap: float
    """The longest time in which no request was answered, the edges of the run included."""
    gap_start: float | None
    """When that gap began, in seconds since the epoch: the last answer before it."""
    slowest: float
    """The slowest answered request."""
    servers: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)


def summary(
    requests: Iterable[Request], after: float = -math.inf, before: float = math.inf
) -> Summary:
    """Sum up the requests that started within [after, before); pure.

    Without `before` the gap counts to the end of the last request, answered or not.
    """
    chosen = sorted((r for r in requests if after <= r.start < before), key=lambda r: r.start)
    answered = [r for r in chosen if r.error is None]
    edges = [r.end for r in answered]
    if chosen:
        edges += [chosen[0].start, max(r.start for r in chosen)]
    edges.sort()
    gap, start = 0.0, None
    for one, two in itertools.pairwise(edges):
        if two - one > gap:
            gap, start = two - one, one
    return Summary(
        requests=len(chosen),
        answered=len(answered),
        failed=len(chosen) - len(answered),
        longest_gap=round(gap, 4),
        gap_start=start,
        slowest=round(max((r.duration for r in answered), default=0.0), 4),
        servers=dict(sorted(Counter(r.server or "?" for r in answered).items())),
        errors=dict(sorted(Counter(r.error for r in chosen if r.error is not None).items())),
    )


def first_answer_after(requests: Iterable[Request], moment: float) -> float | None:
    """Give the seconds from `moment` (epoch) to the first answer to a request begun after it."""
    ends = [r.end for r in requests if r.error is None and r.start >= moment]
    return round(min(ends) - moment, 4) if ends else None


def requests_from(path: Path) -> list[Request]:
    """Read the requests of a result that `--json` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return [Request(**item) for item in data["requests"]]


def who_answered(head: bytes, body: bytes) -> str:
    """Name the server from the answer's headers and body."""
    for line in head.split(b"\r\n")[1:]:
        name, _unused, value = line.partition(b":")
        if name.strip().lower() == b"x-real-server":
            return value.strip().decode("ascii", "replace")[:NAME_LENGTH]
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    return lines[0].decode("utf-8", "replace")[:NAME_LENGTH] if lines else "?"


def judge(answer: bytes) -> tuple[str | None, str | None]:
    """Give (server, error) of one whole answer, as read up to the end of the connection; pure."""
    head, mark, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    if not mark or len(words) < len((b"version", b"status")) or not words[0].startswith(b"HTTP/"):
        return None, "answer cut short" if answer else "closed without an answer"
    if words[1] != str(HTTP_OK).encode():
        return None, f"status {words[1].decode('ascii', 'replace')[:8]}"
    for line in head.split(b"\r\n")[1:]:
        name, _unused, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            if len(body) < int(value):
                return None, "answer cut short"
            break
    return who_answered(head, body), None


class Traffic:
    """Asks `url` every `interval` seconds; `requests` grows as answers come."""

    def __init__(
        self,
        url: str,
        interval: float = INTERVAL,
        limit: float = LIMIT,
        tell: Callable[[Request], None] = lambda request: None,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url!r} is no address like http://203.0.113.10:80/page")
        self._host, self._port = parts.hostname, parts.port or 80
        path = parts.path or "/"
        self._ask = (
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        ).encode("ascii")
        self._interval, self._limit, self._tell = interval, limit, tell
        self.requests: list[Request] = []
        self.skipped = 0
        """Requests that were not begun in time since this client itself got no processor."""

    async def run(self, stop: asyncio.Event, seconds: float = math.inf) -> None:
        """Ask until `stop` is set or `seconds` have passed, then wait for what is under way."""
        loop = asyncio.get_running_loop()
        under_way: set[asyncio.Task[None]] = set()
        begin = loop.time()
        number = 0
        while not stop.is_set() and number * self._interval < seconds:
            late = loop.time() - (begin + number * self._interval)
            if late < 0:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), -late)
                continue
            # A burst after a pause would measure us, not the cluster; such turns are counted.
            missed = int(late / self._interval)
            self.skipped += missed
            number += missed + 1
            task = loop.create_task(self._once())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(under_way)

    async def _once(self) -> None:
        start, mark = time.time(), time.monotonic()
        server, error = None, None
        try:
            server, error = await asyncio.wait_for(self._exchange(), self._limit)
        except TimeoutError:
            error = f"no complete answer within {self._limit:g} s"
        except OSError as problem:
            error = os.strerror(problem.errno) if problem.errno else type(problem).__name__
        request = Request(start, round(time.monotonic() - mark, 4), server, error)
        self.requests.append(request)
        self._tell(request)

    async def _exchange(self) -> tuple[str | None, str | None]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(self._ask)
            answer = b""
            while len(answer) < BODY_LIMIT and (piece := await reader.read(65536)):
                answer += piece
            return judge(answer)
        finally:
            writer.close()


def result(traffic: Traffic) -> dict[str, Any]:
    """Give everything as plain data: `summary` (its fields), `skipped`, and `requests` (a list)."""
    ordered = sorted(traffic.requests, key=lambda r: r.start)
    return {
        "summary": asdict(summary(ordered)),
        "skipped": traffic.skipped,
        "requests": [asdict(r) for r in ordered],
    }


def text(figures: Summary, skipped: int) -> str:
    """Put the figures in a few lines for people."""
    lines = [
        f"requests     {figures.requests}",
        f"failed       {figures.failed}",
        f"longest gap  {figures.longest_gap:.3f} s without any answer",
        f"slowest      {figures.slowest:.3f} s",
    ]
    lines += [f"answered by  {name}: {count}" for name, count in figures.servers.items()]
    lines += [f"failed as    {name}: {count}" for name, count in figures.errors.items()]
    if skipped:
        lines.append(f"not begun    {skipped} (this client got no processor in time)")
    return "\n".join(lines)


async def work(options: argparse.Namespace, traffic: Traffic) -> None:
    """Run until a signal or the time given."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await traffic.run(stop, options.seconds)


def arguments() -> argparse.ArgumentParser:
    """Give the command line."""
    parser = argparse.ArgumentParser(
        description="Ask for a page at a steady pace and count answers, failures and gaps.",
        epilog="Ends after --seconds, or at INT or TERM; exit status 0 unless it was used wrongly.",
    )
    parser.add_argument("url", help="http://ADDRESS[:PORT]/PATH")
    parser.add_argument("--interval", type=float, default=INTERVAL, help="seconds (%(default)s)")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds (%(default)s)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="how long (until a signal)")
    parser.add_argument("--json", metavar="FILE", help="write the whole result there, - for stdout")
    parser.add_argument("--follow", action="store_true", help="print each request as a JSON line")
    return parser


def main() -> int:
    """Run the command."""
    parser = arguments()
    options = parser.parse_args()
    if options.interval <= 0 or options.limit <= 0:
        parser.error("--interval and --limit are seconds above 0")
    tell = (lambda r: print(json.dumps(asdict(r)), flush=True)) if options.follow else None
    try:
        traffic = Traffic(options.url, options.interval, options.limit, tell or (lambda r: None))
    except ValueError as problem:
        parser.error(str(problem))
    if not options.follow and options.json != "-":
        print(f"asking {options.url}", flush=True)  # whoever started us may wait for this line
    asyncio.run(work(options, traffic))
    if options.json == "-":
        print(json.dumps(result(traffic)))
        return 0
    if options.json:
        target = Path(options.json)
        part = target.with_name(target.name + ".part")
        part.write_text(json.dumps(result(traffic)), encoding="utf-8")
        part.replace(target)
    figures = text(summary(traffic.requests), traffic.skipped)
    print(figures, file=sys.stderr if options.follow else sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
