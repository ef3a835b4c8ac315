# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the directives about checks to watches, and from an agent's word to a weight."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from piranha.core.lvs_cf import api
from piranha.core.lvs_cf.directives import DIRECTIVES
from piranha.core.lvs_cf.row import VIRTUAL
from piranha.lvsd import words
from piranha.lvsd.desired import desired
from piranha.lvsd.health import Change, Health
from piranha.lvsd.layout import Layout, host_names
from piranha.lvsd.pool import Ordered, shared
from piranha.nanny.outcome import Result, bad, good
from piranha.nanny.spec import ServiceCheck, SocketCheck, TlsWish, Wanted, Watch
from piranha.nanny.verdict import State

from .support import GLOBALS, WEB, made


def laid(virtual: str, server: str = "", addresses: dict[str, str] | None = None) -> Layout:
    """WEB with more lines in its block and in its first server."""
    text = WEB.replace("    timeout = 2\n", f"    timeout = 2\n{virtual}\n")
    text = text.replace("192.0.2.21\n", f"192.0.2.21\n{server}\n")
    return made(GLOBALS + text, addresses)


def watches(virtual: str, server: str = "") -> list[Watch]:
    return [server.watch for _unused, server in laid(virtual, server).servers()]


def test_http_with_everything() -> None:
    one, two = watches(
        """check = https
        check_interval = 5
        check_fast_interval = 500ms
        check_timeout = 3
        check_port = 8443
        check_method = HEAD
        check_path = "/health?x"
        check_host = www.example.org
        check_headers = [ "X-A: b c" ]
        check_status = 200,300-302
        check_tls_verify = 1
        check_ca_file = /etc/ca.pem
        check_certificate_days = 14""",
        "check_path = /one\ncheck_port = 9443\ncheck_server_name = one.example.org",
    )
    wanted = Wanted(
        "HEAD", "/health?x", "www.example.org", (("X-A", "b c"),), ((200, 200), (300, 302))
    )
    tls = TlsWish(verify=True, server_name="www.example.org", ca_file="/etc/ca.pem", days=14)
    check = ServiceCheck("https", "tcp", "192.0.2.22", 8443, 3, wanted, tls)
    assert two == Watch(check, 5, 0.5)
    assert one.check == ServiceCheck(
        "https",
        "tcp",
        "192.0.2.21",
        9443,
        3,
        replace(wanted, path="/one"),
        replace(tls, server_name="one.example.org"),
    )


@pytest.mark.parametrize(
    ("lines", "interval", "limit"),
    [
        ("check = tcp", 2, 2),
        ("check = tcp\ncheck_interval = 1", 1, 1),
        ("check = tcp\ncheck_interval = 9", 9, 2),
        ("check = tcp\ncheck_timeout = 5", 2, 5),
        ("check_interval = 9\ncheck_timeout = 1", 9, 1),
    ],
)
def test_interval_and_time_limit(lines: str, interval: float, limit: float) -> None:
    layout = laid(lines)
    watch = layout.virtual[0].servers[0].watch
    assert isinstance(watch.check, SocketCheck)
    assert (watch.interval, watch.check.limit) == (interval, limit)
    assert layout.virtual[0].policy.interval == interval


def test_the_guide_tells_the_defaults_that_there_are() -> None:
    guide = Path(__file__).parents[3] / "docs/checks.md"
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([0-9]+)(?: s)? \|$", guide.read_text(), re.MULTILINE)
    defaults = {row.name: row.default for row in DIRECTIVES if row.where == VIRTUAL}
    assert len(rows) > 2
    assert rows == [(name, str(defaults[name])) for name, _unused in rows]


def test_plain_tcp_is_no_http_even_on_port_80() -> None:
    assert watches("check = tcp")[0].check == SocketCheck("tcp", "192.0.2.21", 80, 2)
    assert watches("")[0].check != SocketCheck("tcp", "192.0.2.21", 80, 2)


def test_another_address_makes_one_check_for_all() -> None:
    one, two = watches("check = redis\ncheck_address = 192.0.2.99")
    assert one == two
    assert one.check == ServiceCheck("redis", "tcp", "192.0.2.99", 80, 2)


def test_a_name_to_check_is_resolved_as_others_are() -> None:
    text = GLOBALS + WEB.replace("timeout = 2", "timeout = 2\ncheck = tcp\ncheck_address = db")
    layout = made(text, {"db": "192.0.2.98"})
    check = layout.virtual[0].servers[0].watch.check
    assert isinstance(check, SocketCheck)
    assert check.address == "192.0.2.98"
    assert host_names(api.load(text).config) == ("db",)


def test_an_ipv6_host_header_has_brackets() -> None:
    text = GLOBALS + WEB.replace("203.0.113.100", "2001:db8::1").replace("192.0.2.", "2001:db8::")
    text = text.replace("primary = 2001:db8::1", "primary = 192.0.2.1")
    layout = made(text.replace("timeout = 2", "timeout = 2\ncheck = http"))
    check = layout.virtual[0].servers[0].watch.check
    assert isinstance(check, ServiceCheck)
    assert check.wanted.host == "[2001:db8::21]"


@pytest.mark.parametrize(
    ("weight", "share", "wanted"),
    [(3, None, 3), (100, 50, 50), (1, 10, 1), (3, 0, 0), (0, 100, 0), (65535, 256, 65535)],
)
def test_a_share_of_a_weight(weight: int, share: int | None, wanted: int) -> None:
    assert shared(weight, share) == wanted


def test_an_agents_word_reaches_the_table_and_is_told() -> None:
    layout = laid("check = agent\nrise = 2\nfall = 2")
    health = Health()
    health.configure(layout, 0.0)
    (one, two) = layout.virtual[0].servers
    key = layout.virtual[0].key

    def hear(at: float, share: int | None) -> list[Change]:
        return health.record(two.watch, Result(good("up")._replace(share=share), at, 0.0))

    hear(1.0, None)
    assert desired(layout, health.verdicts).servers(key)[two.id.server].weight == 3
    (change,) = hear(2.0, 67)
    assert desired(layout, health.verdicts).servers(key)[two.id.server].weight == 2
    told = words.change_event(change, health.verdicts)
    assert told["level"] == "notice"
    assert told["text"].endswith("asks for 67 % of its weight")
    assert hear(3.0, 67) == []
    (change,) = hear(4.0, 0)
    assert desired(layout, health.verdicts).servers(key)[two.id.server].weight == 0
    # An operator's word goes before the agent's.
    ordered = desired(layout, health.verdicts, {two.id: Ordered(9)})
    assert ordered.servers(key)[two.id.server].weight == 9
    (change,) = hear(5.0, None)
    assert words.change_event(change, health.verdicts)["text"].endswith("asks for its whole weight")
    assert one.watch != two.watch


def test_a_warning_is_told_once_and_changes_nothing() -> None:
    layout = laid("check = tls")
    health = Health()
    health.configure(layout, 0.0)
    watch = layout.virtual[0].servers[0].watch
    fine, soon = good("connected"), good("connected")._replace(warning="the certificate expires")
    health.record(watch, Result(fine, 1.0, 0.0))
    (change,) = health.record(watch, Result(soon, 2.0, 0.0))
    told = words.change_event(change, health.verdicts)
    assert told["level"] == "warning"
    assert told["text"].endswith("is up, but the certificate expires")
    assert change.verdict.state is State.UP
    assert health.record(watch, Result(soon, 3.0, 0.0)) == []


def test_a_state_changes_from_the_first_sign_until_it_is_settled() -> None:
    layout = laid("check = tcp\nrise = 2\nfall = 2\ncheck_fast_interval = 100ms")
    health = Health()
    health.configure(layout, 0.0)
    watch = layout.virtual[0].servers[0].watch
    seen = []
    for at, outcome in enumerate((good("x"), bad("y"), bad("y"), bad("y"), good("x"), good("x"))):
        health.record(watch, Result(outcome, at * 10.0, 0.0))
        seen.append(health.changing(watch))
    assert seen == [False, True, False, False, True, False]
