# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of check says and makes of the answer, whole, in pieces, broken and made up."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from dataclasses import replace

import pytest
from piranha.core.lvs_cf.checks import CHECK_KINDS
from piranha.nanny.certificate import not_after
from piranha.nanny.conversation import Conversation
from piranha.nanny.http import BODY_LIMIT
from piranha.nanny.icmp import checksum
from piranha.nanny.kinds import MAKERS, conversation
from piranha.nanny.outcome import Finding, Outcome
from piranha.nanny.spec import ServiceCheck, TlsWish, Wanted

NONCE = bytes(range(16))
WANTED = Wanted(host="www.example.org", query=(b"example", b"org"), query_type="A")
BODY = replace(WANTED, body=b"needle")


def talk(kind: str, wanted: Wanted = WANTED, transport: str = "tcp") -> Conversation:
    """A conversation that has begun."""
    made = conversation(
        ServiceCheck(kind, transport, "192.0.2.1", 1, 2.0, wanted), NONCE, lambda: 0.0
    )
    made.begin()
    return made


def answered(made: Conversation, data: bytes, size: int = 1 << 20) -> Outcome:
    """What comes of these bytes, in pieces of a size, and the end of the stream."""
    for at in range(0, len(data), size):
        step = made.feed(data[at : at + size])
        if isinstance(step, Outcome):
            return step
    return made.closed()


def pg(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def my(body: bytes, number: int = 0) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def dns(code: int = 0, question: bytes = b"\x07example\x03org\0\0\1\0\1", number: int = 1) -> bytes:
    message = struct.pack("!6H", number, 0x8180 | code, 1, 1, 0, 0) + question
    return struct.pack("!H", len(message)) + message


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GREETING = my(b"\x0a10.11.6-MariaDB\0rest")
TALKS = [
    ("http", WANTED, b"HTTP/1.1 200 OK\r\n\r\n", True, "HTTP 200 OK"),
    ("http", WANTED, b"HTTP/1.0 204\r\n\r\n", True, "HTTP 204"),
    ("http", WANTED, b"HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 200 OK\n\n", True, "HTTP 200 OK"),
    ("http", WANTED, b"HTTP/1.1 503 Gone\r\n\r\n", False, "HTTP 503 Gone, expected 200-399"),
    (
        "http",
        WANTED,
        b"SSH-2.0-x\r\n",
        False,
        'answered "SSH-2.0-x\\r\\n", which is not HTTP/1',
    ),
    (
        "http",
        WANTED,
        b"HTTP/1.1 abc\r\n\r\n",
        False,
        'answered "HTTP/1.1 abc", which has no status code',
    ),
    (
        "http",
        WANTED,
        b"HTTP/1.1 200 OK\r\nX",
        False,
        'closed the connection after "HTTP/1.1 200 OK\\r\\nX", half of the answer',
    ),
    ("http", WANTED, b"", False, "closed the connection without an answer"),
    (
        "http",
        WANTED,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000,
        False,
        "no end of the answer in its first 16384 bytes",
    ),
    (
        "http",
        BODY,
        b"HTTP/1.1 200 OK\r\n\r\na needle",
        True,
        "HTTP 200 OK, the body is as expected",
    ),
    (
        "http",
        BODY,
        CHUNKED + b"3\r\nnee\r\n3;x=y\r\ndle\r\n0\r\n\r\n",
        True,
        "HTTP 200 OK, the body is as expected",
    ),
    ("http", BODY, CHUNKED + b"0\r\n\r\n", False, 'HTTP 200 OK, but "needle" is not in the body'),
    (
        "http",
        BODY,
        CHUNKED + b"3\r\nnee",
        False,
        "HTTP 200 OK, but the connection was closed within the body",
    ),
    (
        "http",
        BODY,
        CHUNKED + b"zz\r\n",
        False,
        "HTTP 200 OK, but the body cannot be read: its chunks have no size",
    ),
    (
        "http",
        BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nneedle",
        False,
        'HTTP 200 OK, but "needle" is not in the body',
    ),
    (
        "http",
        BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nnee",
        False,
        "HTTP 200 OK, but the connection was closed within the body",
    ),
    (
        "http",
        replace(WANTED, body_regex=b"^[0-9]+ (up|well)$"),
        b"HTTP/1.1 200 OK\r\n\r\n17 up",
        True,
        "HTTP 200 OK, the body is as expected",
    ),
    (
        "http",
        BODY,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_LIMIT + 9),
        False,
        f'HTTP 200 OK, but "needle" is not in the first {BODY_LIMIT} bytes of the body',
    ),
    ("dns", WANTED, dns(), True, "answered example.org. A with 1 record"),
    ("dns", WANTED, dns(2), False, "answered SERVFAIL for example.org. A"),
    ("dns", WANTED, dns(5), False, "answered REFUSED for example.org. A"),
    ("dns", WANTED, dns(question=b"\x03org\0\0\1\0\1"), False, "answered another question"),
    (
        "dns",
        WANTED,
        dns(number=7),
        False,
        "answered something that does not belong to the question",
    ),
    ("smtp", WANTED, b"220-a\r\n220 b\r\n250-x\r\n250 y\r\n", True, 'greeted with "220 b"'),
    ("smtp", WANTED, b"554 no\r\n", False, 'answered "554 no" to being connected to'),
    ("smtp", WANTED, b"220 b\r\n421 busy\r\n", False, 'answered "421 busy" to EHLO'),
    ("smtp", WANTED, b"hello\r\n", False, 'answered "hello", which is not SMTP'),
    ("smtp", WANTED, b"220 b\r\n", False, "closed the connection without an answer to EHLO"),
    ("smtp", WANTED, b"", False, "closed the connection without a greeting"),
    (
        "smtp",
        WANTED,
        b"220-x\r\n" * 9999,
        False,
        "no end of the greeting in its first 16384 bytes",
    ),
    ("redis", WANTED, b"+PONG\r\n", True, "answered PONG"),
    ("redis", WANTED, b"-NOAUTH x\r\n", True, "answers, and asks for a password"),
    ("redis", WANTED, b"-LOADING x\r\n", False, 'answered with the error "LOADING x"'),
    ("redis", WANTED, b"hello\r\n", False, 'answered "hello", which is not Redis'),
    ("postgres", WANTED, pg(b"R", b"\0\0\0\5"), True, "answers, and asks who we are"),
    (
        "postgres",
        WANTED,
        pg(b"N", b"x\0") + pg(b"E", b"SFATAL\0C28000\0Mno such role\0\0"),
        True,
        'answers, though with 28000 "no such role"',
    ),
    (
        "postgres",
        WANTED,
        pg(b"E", b"SFATAL\0C57P03\0Mstarting up\0\0"),
        False,
        'answered with the error 57P03 "starting up"',
    ),
    ("postgres", WANTED, b"HTTP", False, 'answered "HTTP", which is not PostgreSQL'),
    (
        "postgres",
        WANTED,
        b"R\0\0\0\1",
        False,
        r'answered "R\x00\x00\x00\x01", which is not PostgreSQL',
    ),
    ("mysql", WANTED, GREETING, True, "greeted as version 10.11.6-MariaDB"),
    (
        "mysql",
        replace(WANTED, user="check"),
        GREETING + my(b"\xff\x15\x04#28000Access denied", 2),
        True,
        "greeted as version 10.11.6-MariaDB and answered a login",
    ),
    (
        "mysql",
        replace(WANTED, user="check"),
        GREETING + my(b"\xff\x10\x04#08004Too many", 2),
        False,
        'answered the login with error 1040 "Too many"',
    ),
    (
        "mysql",
        WANTED,
        my(b"\xff\x69\x04Host is blocked"),
        False,
        'refused the connection: error 1129 "Host is blocked"',
    ),
    ("agent", WANTED, b"up\n", True, "the agent said up"),
    ("agent", WANTED, b"75%", True, "the agent said 75%"),
    ("agent", WANTED, b"ready, 50% maxconn:9\r\n", True, "the agent said ready, 50% maxconn:9"),
    ("agent", WANTED, b"down # disk full\n", False, "the agent said down: disk full"),
    ("agent", WANTED, b"maint\n", False, "the agent said maint"),
    ("agent", WANTED, b"nonsense\n", False, 'the agent said "nonsense", which has no meaning'),
    ("agent", WANTED, b"900%\n", False, 'the agent said "900%", which has no meaning'),
]


@pytest.mark.parametrize(("kind", "wanted", "data", "well", "words"), TALKS)
def test_every_answer_has_its_own_words(
    kind: str, wanted: Wanted, data: bytes, well: bool, words: str
) -> None:
    outcome = answered(talk(kind, wanted), data)
    assert outcome.words == words
    assert (outcome.finding is Finding.GOOD) == well


@pytest.mark.parametrize(("kind", "wanted", "data", "well", "words"), TALKS)
def test_pieces_of_any_size_mean_the_same(
    kind: str, wanted: Wanted, data: bytes, well: bool, words: str
) -> None:
    for size in (1, 2, 7) if len(data) < 2000 else (97,):  # a long one byte by byte takes seconds
        outcome = answered(talk(kind, wanted), data, size)
        assert (outcome.finding is Finding.GOOD) == well, (size, outcome.words)


@pytest.mark.parametrize(
    ("line", "share"),
    [(b"up", None), (b"40%", 40), (b"drain", 0), (b"up 40% drain", 0), (b"drain 40%", 0)],
)
def test_an_agent_asks_for_a_share(line: bytes, share: int | None) -> None:
    assert answered(talk("agent"), line + b"\n").share == share


def test_what_an_http_request_says() -> None:
    wanted = replace(
        WANTED, method="HEAD", path="/x?y", headers=(("X-A", "b"), ("user-agent", "me"))
    )
    made = conversation(ServiceCheck("http", "tcp", "192.0.2.1", 80, 2.0, wanted), NONCE, lambda: 0)
    assert made.begin() == (
        b"HEAD /x?y HTTP/1.1\r\nHost: www.example.org\r\nuser-agent: me\r\n"
        b"Accept: */*\r\nX-A: b\r\nConnection: close\r\n\r\n"
    )


def test_a_datagram_that_does_not_belong_is_passed_over() -> None:
    made = talk("dns", transport="udp")
    assert made.feed(b"noise") == b""
    assert made.feed(dns(number=9)[2:]) == b""
    outcome = made.feed(dns()[2:])
    assert isinstance(outcome, Outcome)
    assert outcome.finding is Finding.GOOD


@pytest.mark.parametrize(("address", "kinds"), [("192.0.2.1", (8, 0)), ("2001:db8::1", (128, 129))])
def test_an_echo_counts_only_with_its_own_payload(address: str, kinds: tuple[int, int]) -> None:
    made = conversation(ServiceCheck("icmp", "icmp", address, 0, 1.0), NONCE, lambda: 0.0)
    sent = made.begin()
    assert isinstance(sent, bytes)
    assert sent[0] == kinds[0]
    assert checksum(sent) == 0
    reply = bytes([kinds[1]]) + sent[1:]
    assert made.feed(reply[:-1] + b"x") == b""
    assert made.feed(sent) == b""
    outcome = made.feed(reply)
    assert isinstance(outcome, Outcome)
    assert outcome.finding is Finding.GOOD


@pytest.mark.parametrize("kind", MAKERS)
def test_silence_and_half_an_answer_have_words_of_their_own(kind: str) -> None:
    silent = talk(kind).late(2.0).words
    assert "within 2 s" in silent
    if kind not in ("tls", "icmp", "dns"):
        made = talk(kind)
        made.feed(b"2")
        assert made.late(2.0).words != silent


def test_every_kind_of_the_language_can_be_made() -> None:
    assert set(MAKERS) | {"tcp", "udp", "program"} == set(CHECK_KINDS)


CORPUS = [data for _kind, _wanted, data, _well, _words in TALKS if len(data) < 500]


@pytest.mark.parametrize("kind", [*MAKERS, "https"])
def test_made_up_bytes_end_in_words_and_keep_nothing(kind: str) -> None:
    """Thousands of byte strings, most of them broken answers; the memory they leave is measured."""
    chance = random.Random(kind)
    tls = TlsWish() if kind in ("https", "tls") else None
    wanted = replace(WANTED, body=b"needle", body_regex=b"(a|b)*c", user="check")
    check = ServiceCheck(kind, "tcp", "192.0.2.1", 1, 2.0, wanted, tls)

    def some(count: int) -> None:
        for _unused in range(count):
            data = bytearray(chance.choice(CORPUS))
            for _again in range(chance.randrange(4)):
                at = chance.randrange(len(data) + 1)
                data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
            made = conversation(check, NONCE, lambda: 0.0)
            made.begin()
            outcome = answered(made, bytes(data), chance.choice((1, 5, 1000)))
            assert outcome.words.isprintable()
            assert len(outcome.words) < 400

    count = 500 if tls else 4000
    some(count // 4)
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    some(count)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    grown = sum(each.size_diff for each in after.compare_to(before, "filename"))
    assert grown < 300_000


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind not in ("tls", "icmp")])
def test_an_endless_answer_ends(kind: str) -> None:
    for noise in (b"x", b"\n", b"220-x\r\n", b"N\0\0\0\4", b"HTTP/1.1 100 x\r\n\r\n", b"1,"):
        made = talk(kind, replace(BODY, user="x"))
        before = time.monotonic()
        for _unused in range(2000):
            piece = (noise * (1 + made.room() // len(noise)))[: min(made.room(), 4096)]
            if isinstance(made.feed(piece), Outcome):
                break
            assert len(made.data) <= made.limit
        else:
            pytest.fail(f"{kind} never ends with {noise!r}")
        assert time.monotonic() - before < 2


def test_a_certificates_end_is_read_and_anything_else_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        not_after(b"")
    chance = random.Random(7)
    for _unused in range(20_000):
        data = b"0\x82" + chance.randbytes(chance.randrange(40))
        with pytest.raises(ValueError, match=r"certificate|cut off|time|data|format|codec"):
            not_after(data)
