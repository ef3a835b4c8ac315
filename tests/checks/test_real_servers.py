# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of check against a real server of its kind, from lvs.cf's lines to the outcome."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from piranha.core.lvs_cf import api
from piranha.lvsd.layout import layout
from piranha.nanny.engine import perform
from piranha.nanny.outcome import Finding, Outcome

from . import servers

SOURCE = Path(__file__).resolve().parents[2] / "files/piranha-agent/src"

FILE = """
service = lvs
primary = 192.0.2.1
network = nat
nat_router = 192.0.2.254 eth1:1
virtual one {
    active = 1
    address = 192.0.2.100 eth0:1
    port = 7
    protocol = %(protocol)s
    timeout = 5
%(lines)s
    server one {
        address = 127.0.0.1
        port = %(port)d
        active = 1
    }
}
"""


def check(port: int, lines: str, protocol: str = "tcp") -> Outcome:
    """Check as a file with these lines says; the file must be without errors."""
    loaded = api.load(FILE % {"port": port, "lines": lines, "protocol": protocol}, "lvs.cf")
    assert not loaded.errors, [each.format() for each in loaded.findings]
    (virtual,) = layout(loaded.config).virtual
    return asyncio.run(perform(virtual.servers[0].watch.check))


def good(outcome: Outcome, words: str) -> None:
    """It passed, in these words (a regular expression)."""
    assert outcome.finding is Finding.GOOD, outcome.words
    assert re.fullmatch(words, outcome.words)


def bad(outcome: Outcome, words: str) -> None:
    """It failed, in these words (a regular expression)."""
    assert outcome.finding is Finding.BAD, outcome.words
    assert re.fullmatch(words, outcome.words)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for www.example.org and its key."""
    return servers.certificate(tmp_path_factory.mktemp("tls"), "www.example.org")


@pytest.fixture(scope="module")
def web(
    tmp_path_factory: pytest.TempPathFactory, pair: tuple[Path, Path]
) -> Iterator[tuple[int, int]]:
    """nginx: its ports of HTTP and HTTPS."""
    folder = tmp_path_factory.mktemp("nginx")
    argv, plain, tls = servers.nginx(folder, *pair)
    with servers.running(folder, argv, plain):
        yield plain, tls


def test_http(web: tuple[int, int]) -> None:
    port = web[0]
    good(check(port, "check = http\ncheck_path = /well"), "HTTP 200 OK")
    good(check(port, "check = http\ncheck_path = /moved"), "HTTP 302 Moved Temporarily")
    good(check(port, "check = http\ncheck_method = HEAD\ncheck_path = /well"), "HTTP 200 OK")
    bad(
        check(port, "check = http\ncheck_path = /moved\ncheck_status = 200,204"),
        "HTTP 302 Moved Temporarily, expected 200,204",
    )
    bad(
        check(port, "check = http\ncheck_path = /broken"),
        "HTTP 503 Service Temporarily Unavailable, expected 200-399",
    )
    body = "check = http\ncheck_path = /well\ncheck_host = a.example\n"
    body += 'check_headers = [ "X-Check: yes" ]'
    good(check(port, f'{body}\ncheck_body = "at a.example yes"'), "HTTP 200 OK, the body is as .*")
    good(check(port, f'{body}\ncheck_body_regex = "^all .* yes$"'), "HTTP 200 OK, the body is .*")
    bad(
        check(port, f'{body}\ncheck_body = "down"'),
        'HTTP 200 OK, but "down" is not in the body',
    )


def test_https_and_what_is_wrong_with_a_certificate(
    web: tuple[int, int], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    plain, port = web
    lines = "check = https\ncheck_path = /well"
    name = "check_server_name = www.example.org"
    verify = f"{lines}\ncheck_tls_verify = 1"
    trust = f"{verify}\ncheck_ca_file = {pair[0]}"
    good(check(port, lines), "HTTP 200 OK")
    good(check(port, f"{trust}\n{name}"), "HTTP 200 OK")
    bad(check(port, f"{verify}\n{name}"), "certificate not accepted: self.signed certificate")
    bad(
        check(port, f"{trust}\ncheck_server_name = other.example.org"),
        "certificate not accepted: Hostname mismatch.*",
    )
    bad(check(port, trust), "certificate not accepted: IP address mismatch.*")
    bad(check(plain, lines), "answered something that is not TLS")
    bad(check(port, "check = http"), "HTTP 400 Bad Request, expected 200-399")
    warned = check(port, f"{lines}\ncheck_certificate_days = 365")
    good(warned, "HTTP 200 OK")
    assert re.fullmatch(r"the certificate expires in (90|89)\.[0-9] days", warned.warning or "")
    assert check(port, f"{lines}\ncheck_certificate_days = 30").warning is None
    missing = check(port, f"{verify}\n{name}\ncheck_ca_file = {tmp_path}/none")
    assert missing.finding is Finding.UNKNOWN
    assert (
        missing.words
        == "not checked: the CA certificates cannot be used: No such file or directory"
    )


def test_tls(pair: tuple[Path, Path], tmp_path: Path) -> None:
    port = servers.free_port()
    argv = [
        "openssl",
        "s_server",
        "-accept",
        str(port),
        "-cert",
        str(pair[0]),
        "-key",
        str(pair[1]),
    ]
    with servers.running(tmp_path, argv, port):
        good(check(port, "check = tls"), "connected")
        good(
            check(
                port,
                f"check = tls\ncheck_tls_verify = 1\ncheck_ca_file = {pair[0]}\n"
                "check_server_name = www.example.org",
            ),
            "connected",
        )


def test_dns(tmp_path: Path) -> None:
    argv, port = servers.unbound(tmp_path)
    with servers.running(tmp_path, argv, port):
        for protocol in ("udp", "tcp"):
            lines = "check = dns\ncheck_query_type = A\ncheck_query = "
            good(
                check(port, f"{lines}www.example.test", protocol),
                r"answered www\.example\.test\. A with 1 record",
            )
            bad(
                check(port, f"{lines}none.example.test", protocol),
                r"answered NXDOMAIN for none\.example\.test\. A",
            )
            bad(
                check(port, f"{lines}refused.test", protocol),
                r"answered REFUSED for refused\.test\. A",
            )


def test_smtp(tmp_path: Path) -> None:
    argv, port = servers.smtpd(tmp_path)
    with servers.running(tmp_path, argv, port):
        good(check(port, "check = smtp\ncheck_helo = router.example.org"), 'greeted with "220 .*"')


def test_redis(tmp_path: Path) -> None:
    port = servers.free_port()
    argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with servers.running(tmp_path, argv, port):
        good(check(port, "check = redis"), "answered PONG")
    with servers.running(tmp_path, [*argv, "--requirepass", "x"], port):
        good(check(port, "check = redis"), "answers, and asks for a password")


def test_postgres() -> None:
    # The server is not run as root, and pytest's own folders are root's alone.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        argv, port = servers.postgres(folder)
        with servers.running(folder, argv, port, user="postgres"):
            starting = "check = postgres\ncheck_user = postgres"
            while "57P03" in (known := check(port, starting)).words:
                bad(known, 'answered with the error 57P03 "the database system is starting up"')
            good(known, "answers, and asks who we are")
            good(check(port, "check = postgres"), "answers, and asks who we are")


def test_mysql(tmp_path: Path) -> None:
    argv, port = servers.mariadb(tmp_path)
    with servers.running(tmp_path, argv, port):
        good(check(port, "check = mysql"), "greeted as version .*MariaDB.*")
        good(
            check(port, "check = mysql\ncheck_user = nobody"),
            "greeted as version .*MariaDB.* and answered a login",
        )


def test_what_is_sent_and_expected_as_of_old(tmp_path: Path, web: tuple[int, int]) -> None:
    """`send` and `expect` alone, and the kind that is named tcp and does the same."""
    said = r'send = "GET /well HTTP/1.0\r\n\r\n"'
    for kind in ("", "check = tcp\n"):
        good(check(web[0], kind), "connected")
        good(check(web[0], f'{kind}{said}\nexpect = "HTTP/1.1 200"'), 'answered "HTTP/1.1 200 OK.*')
        bad(
            check(web[0], f'{kind}{said}\nexpect = "HTTP/1.1 503"'),
            'answer began with "HTTP/1.1 200" instead of "HTTP/1.1 503"',
        )
        found = f'{kind}{said}\nuse_regex = 1\nexpect = "all is w[e]ll"'
        good(check(web[0], found), 'answered "HTTP/1.1 200 OK.*')
    argv, port = servers.smtpd(tmp_path)
    with servers.running(tmp_path, argv, port):
        good(check(port, 'expect = "220 "'), 'answered "220 .*')
        good(check(port, "expect = *"), 'answered "220 .*')


def test_udp(tmp_path: Path) -> None:
    """unbound answers whatever is as long as a question: these bytes with an error."""
    argv, port = servers.unbound(tmp_path)
    asked = 'check = udp\nsend = "hello, world"'
    with servers.running(tmp_path, argv, port):
        for lines in (asked, asked.partition("\n")[2]):
            good(check(port, lines, "udp"), 'answered "he.*')
            good(check(port, f"{lines}\nexpect = he", "udp"), 'answered "he.*')
            bad(
                check(port, f"{lines}\nexpect = ho", "udp"),
                'answer began with "he" instead of "ho"',
            )
    bad(check(port, asked, "udp"), "port unreachable")


def test_icmp() -> None:
    good(check(7, "check = icmp"), "answered")


SILENT_HOST = """\
ip link set lo up
echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all
exec "$@"
"""


@pytest.mark.parametrize(
    ("script", "words"),
    [(SILENT_HOST, "no echo reply within 0.3 s"), ('exec "$@"', "network unreachable")],
    ids=["silent", "out of reach"],
)
def test_icmp_of_a_host_that_is_silent_or_out_of_reach(
    script: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "lvs.cf"
    lines = "check = icmp\ncheck_timeout = 300ms"
    file.write_text(FILE % {"port": 7, "lines": lines, "protocol": "tcp"})
    argv = ["unshare", "--net", "sh", "-euc", script, "sh", sys.executable, "-m", "piranha"]
    done = subprocess.run(
        [*argv, "nanny", "one", "-c", str(file)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[:1]) == (1, [f"one/one: DOWN: {words}"]), done


def test_program_and_another_address_and_port(web: tuple[int, int]) -> None:
    good(check(7, 'check = program\nsend_program = "/bin/true"'), "the program succeeded")
    bad(check(7, 'check = program\nsend_program = "/bin/false"'), "the program ended with status 1")
    good(check(7, f"check = http\ncheck_path = /well\ncheck_port = {web[0]}"), "HTTP 200 OK")


@pytest.mark.parametrize(
    "kind", ["http", "https", "tls", "dns", "smtp", "redis", "postgres", "mysql", "agent"]
)
def test_a_server_that_is_not_there_is_silent_or_hangs_up(kind: str) -> None:
    lines = f"check = {kind}\ncheck_timeout = 300ms"
    bad(check(servers.free_port(), lines), "connection refused")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        bad(check(mute.getsockname()[1], lines), "connected, but no .* within 0.3 s")


@pytest.mark.parametrize("lines", ["check = dns", "check = udp\nsend = hello"])
def test_a_server_of_udp_that_is_not_there_or_silent(lines: str) -> None:
    lines += "\ncheck_timeout = 300ms"
    bad(check(servers.free_port(socket.SOCK_DGRAM), lines, "udp"), "port unreachable")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        bad(check(mute.getsockname()[1], lines, "udp"), "no answer within 0.3 s")
