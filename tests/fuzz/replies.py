# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers might answer, without number: broken replies through the parser of every check.

`python3 -m tests.fuzz.replies [--inputs 1000000] [--seed N] [--workers 2] [--parsers http,dns]`
`python3 -m tests.fuzz.replies --parsers http --seed N --only INDEX` shows one and what comes of it.

Inputs are per parser. Each follows from parser, seed and index alone: a good answer, broken up to
six times or made up, fed in pieces of any size. What must hold of each: no exception, no more than
LIMIT seconds of processor time, never more kept than the parser's limit, an end in one printable
line; and that a process that has judged them all has not grown.
"""

from __future__ import annotations

import random
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "files/piranha-agent/src"))

from piranha.nanny.certificate import not_after  # noqa: E402 - path
from piranha.nanny.conversation import Conversation, SendExpect  # noqa: E402
from piranha.nanny.kinds import conversation  # noqa: E402
from piranha.nanny.outcome import Outcome  # noqa: E402
from piranha.nanny.spec import Expectation, Match, ServiceCheck, TlsWish, Wanted  # noqa: E402

from tests.fuzz.many import Run, Share, chunks, options, share, shown, within  # noqa: E402

LIMIT = 2.0  # seconds of processor time for one input
CHUNK = 1000
LONG = 500  # one input in so many is long
GROWTH = 20.0  # MB that a process may have grown by when it has judged all its inputs
LONGEST_WORDS = 500
NONCE = bytes(range(16))
WANTED = Wanted(
    host="www.example.org",
    query=(b"example", b"org"),
    query_type="A",
    body=b"needle",
    user="check",
)

_QUESTION = b"\x07example\x03org\0\0\1\0\1"
_DNS = (
    struct.pack("!6H", 1, 0x8180, 1, 1, 0, 0) + _QUESTION + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
)
_GREETING = b"\x4b\0\0\0\x0a10.11.6-MariaDB\0" + bytes(58)
_CERTIFICATE = (
    b"\x30\x60\x30\x5e\xa0\x03\x02\x01\x02\x02\x01\x05\x30\x05\x06\x03\x2b\x65\x70\x30\x00\x30\x1e"
    b"\x17\x0d250101000000Z\x17\x0d350101000000Z\x30\x00"
)
_TLS = (
    b"\x16\x03\x03\x00\x31\x02\x00\x00\x2d\x03\x03" + bytes(32) + b"\0\x13\x01\0\0\5\0\x2b\0\2\3\4"
)

ANSWERS: dict[str, tuple[bytes, ...]] = {
    "http": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nneedlec",
        b"HTTP/1.0 301 Moved\r\nLocation: /\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nneedlec\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ),
    "dns": (_DNS, _DNS[:3] + b"\x83" + _DNS[4:]),
    "dns over tcp": (struct.pack("!H", len(_DNS)) + _DNS,),
    "smtp": (b"220 mail.example.org ESMTP\r\n250-mail\r\n250 SIZE\r\n", b"554 no\r\n"),
    "redis": (b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n", b"-LOADING\r\n"),
    "postgres": (
        b"R\0\0\0\x08\0\0\0\0Z\0\0\0\5I",
        b"R\0\0\0\x0c\0\0\0\5salt",
        b"E\0\0\0\x20SFATAL\0C57P03\0Mstarting up\0\0",
    ),
    "mysql": (
        _GREETING + b"\x07\0\0\2\0\0\0\2\0\0\0",
        b"\x17\0\0\0\xff\x10\x04Too many connections",
    ),
    "agent": (b"up 75%\n", b"drain\n", b"down # maintenance\n", b"ready,50%\n"),
    "tls": (_TLS, b"\x15\x03\x03\0\2\2\x28", b"HTTP/1.0 400 Bad Request\r\n\r\n"),
    "icmp": (b"\0\0\0\0\0\1\2\3" + NONCE,),
    "icmp6": (b"\x81\0\0\0\0\1\2\3" + NONCE,),
    "prefix": (b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-OpenSSH\r\n"),
    "regex": (b"HTTP/1.1 200 OK\r\n\r\nabababc", b"+OK ready\r\n"),
    "any": (b"x",),
    "certificate": (_CERTIFICATE,),
}
"""Parser -> answers that are broken."""

WORDS = (
    b"\r\n", b"\n", b"\0", b" ", b":", b"-", b",", b"%", b"\xff", b"\xff\xff\xff\xff", b"\x80",
    b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"ffffffffffffffff\r\n",
    b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 200", b"HTTP/9.9 999", b"220-", b"R\0\0\0",
    b"-1", b"65536", b"up", b"drain", b"1e9%", b"\xc0\x0c", b"\xe2\x80\xae", b"\x1b[2J",
)  # fmt: skip


def _service(kind: str, transport: str = "tcp", address: str = "192.0.2.1") -> Conversation:
    tls = TlsWish(days=30) if kind == "tls" else None
    wanted = replace(WANTED, body_regex=b"(a|b)*c")
    check = ServiceCheck(kind, transport, address, 0, 2.0, wanted, tls)
    return conversation(check, NONCE, time.time)


def _expect(match: Match, value: bytes = b"") -> Conversation:
    return SendExpect(b"", Expectation(match, value))


TALKS: dict[str, Callable[[], Conversation]] = {
    "http": lambda: _service("http"),
    "dns": lambda: _service("dns", "udp"),
    "dns over tcp": lambda: _service("dns"),
    "smtp": lambda: _service("smtp"),
    "redis": lambda: _service("redis"),
    "postgres": lambda: _service("postgres"),
    "mysql": lambda: _service("mysql"),
    "agent": lambda: _service("agent"),
    "tls": lambda: _service("tls"),
    "icmp": lambda: _service("icmp", "icmp"),
    "icmp6": lambda: _service("icmp", "icmp", "2001:db8::1"),
    "prefix": lambda: _expect(Match.PREFIX, b"HTTP/1.1 200"),
    "regex": lambda: _expect(Match.REGEX, b"^(HTTP/1\\.[01] 2[0-9]{2}|\\+OK|(a|ab)*c$)"),
    "any": lambda: _expect(Match.ANY),
}
"""Parser -> a conversation that waits for an answer."""


def broken(parser: str, seed: int, index: int) -> list[bytes]:
    """One input: an answer in pieces, as they might arrive."""
    dice = random.Random(f"{parser}:{seed}:{index}")
    data = bytearray(dice.choice(ANSWERS[parser]))
    if dice.randrange(20) == 0:
        data = bytearray(dice.randbytes(dice.randrange(200)))
    for _round in range(dice.randrange(7)):
        at = dice.randint(0, len(data))
        match dice.randrange(6):
            case 0:
                data[at : at + 1] = dice.randbytes(1)
            case 1:
                data[at:at] = dice.choice(WORDS)
            case 2:
                del data[at : at + dice.choice((1, 2, 10, 1000))]
            case 3:
                data[at : at + 4] = dice.randbytes(4)
            case 4:
                data[at:at] = data[: dice.randint(0, len(data))][:2000]
            case _:
                data += dice.choice(dice.choice(tuple(ANSWERS.values())))
    if dice.randrange(LONG) == 0:
        at = dice.randint(0, len(data))
        data[at:at] = dice.choice((*WORDS, dice.randbytes(7))) * dice.choice((1000, 30_000))
    size = dice.choice((1, 2, 7, 100, 1 << 20, 1 << 20))
    if len(data) > 10_000:
        size = max(size, 1000)
    return [bytes(data[begin : begin + size]) for begin in range(0, len(data), size)]


def judge(parser: str, pieces: list[bytes]) -> str:
    """What is wrong with how a parser takes an input; an empty text if nothing is."""
    if parser == "certificate":
        try:
            not_after(b"".join(pieces))
        except (ValueError, OverflowError) as error:
            return "" if isinstance(error, ValueError) else traceback.format_exc()
        return ""
    talk = TALKS[parser]()
    talk.begin()
    for piece in pieces:
        rest = piece
        while rest:
            room = talk.room()
            if room < 1:
                return f"there is room for {room} bytes, and no end"
            step = talk.feed(rest[:room])
            if isinstance(step, Outcome):
                return _words(step)
            if len(talk.data) > talk.limit:
                return f"{len(talk.data)} bytes are kept"
            # A datagram's rest is lost.
            rest = rest[room:] if parser not in ("dns", "icmp", "icmp6") else b""
    return _words(talk.late(2.0)) or _words(talk.closed())


def _words(outcome: Outcome) -> str:
    words = outcome.words
    if words and words.isprintable() and len(words) <= LONGEST_WORDS:
        return ""
    return f"the outcome is no printable line: {words!r}"


def wrong(parser: str, seed: int, index: int) -> str:
    """What is wrong with one input; an empty text if nothing is."""
    return within(LIMIT, lambda: judge(parser, broken(parser, seed, index)))


def some(asked: tuple[str, int, range]) -> Share:
    """Judge some inputs of a parser and a seed."""
    parser, seed, indexes = asked
    return share(indexes, lambda index: wrong(parser, seed, index))


def main(arguments: list[str]) -> int:
    """Command line; 1 if an input broke a promise."""
    parser = options("replies", __doc__)
    parser.add_argument("--parsers", default=",".join(ANSWERS), help="default: %(default)s")
    asked = parser.parse_args(arguments)
    names = asked.parsers.split(",")
    unknown = [name for name in names if name not in ANSWERS]
    if unknown:
        parser.error(f"there is no parser {unknown[0]}; there are {', '.join(ANSWERS)}")
    if asked.only is not None:
        one = (names[0], asked.seed, asked.only)
        return shown(broken(*one), wrong(*one))
    print(f"replies: {asked.inputs:,} inputs for each parser, seed {asked.seed}", flush=True)
    failed = 0
    for name in names:
        again = f'python3 -m tests.fuzz.replies --parsers "{name}" --seed {asked.seed}'
        run = Run(name, again, asked.inputs, asked.workers, GROWTH)
        failed += run.over(some, [(name, asked.seed, one) for one in chunks(asked.inputs, CHUNK)])
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
