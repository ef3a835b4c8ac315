# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every attribute, set on the real table through the modules and read back by ipvsadm.

The expected text is what `ipvsadm -Sn` prints, written down by hand. Each case runs its task three
times: under check mode, which changes nothing and foretells the result, in earnest, and again.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.modules import (
    ipvs_info,
    ipvs_server,
    ipvs_service,
    ipvs_table,
)

from tests.unit.plugins.modules.running import run

from . import readers
from .quick import saved

Options = dict[str, Any]


class Kind(NamedTuple):
    """A kind of virtual service: what names it for the module, and for ipvsadm."""

    options: Options
    words: str
    server: str  # a real server's address of the same family
    server_words: str  # ... and with the port that it gets by default


def _kind(words: str, six: bool, server_port: int, **options: object) -> Kind:
    address = "2001:db8:1::1" if six else "198.51.100.1"
    server = f"[{address}]:{server_port}" if six else f"{address}:{server_port}"
    return Kind(options, words, address, server)


V4, V6 = "192.0.2.1", "2001:db8::1"
TCP = _kind("-t 192.0.2.1:80", False, 80, address=V4, port=80)
UDP = _kind("-u 192.0.2.1:53", False, 53, protocol="udp", address=V4, port=53)
SCTP = _kind("--sctp-service 192.0.2.1:9", False, 9, protocol="sctp", address=V4, port=9)
TCP6 = _kind("-t [2001:db8::1]:80", True, 80, protocol="tcp", address="2001:DB8:0::1", port=80)
UDP6 = _kind("-u [2001:db8::1]:53", True, 53, protocol="udp", address=V6, port=53)
SCTP6 = _kind("--sctp-service [2001:db8::1]:65535", True, 65535, protocol="sctp", address=V6,
              port=65535)  # fmt: skip
MARK = _kind("-f 1", False, 0, fwmark=1)
HIGH = _kind("-f -1", False, 0, fwmark=2**32 - 1, family="ipv4")  # ipvsadm prints it signed
MARK6 = _kind("-f 7 -6", True, 0, fwmark=7, family="ipv6")
KINDS = {
    "tcp": TCP, "udp": UDP, "sctp": SCTP, "tcp6": TCP6, "udp6": UDP6, "sctp6": SCTP6,
    "mark": MARK, "high mark": HIGH, "mark6": MARK6,
}  # fmt: skip
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh")

# What is said of a service, and what ipvsadm prints behind its name.
SERVICES: list[tuple[Kind, Options, str]] = [
    *((kind, {}, "-s wlc") for kind in KINDS.values()),
    *((kind, {"scheduler": name}, f"-s {name}") for kind in (TCP, TCP6) for name in SCHEDULERS),
    *((kind, {"scheduler": "rr"}, "-s rr") for kind in (UDP, SCTP, UDP6, SCTP6, MARK, MARK6)),
    *(
        (kind, {"persistence": 300}, "-s wlc -p 300")
        for kind in (TCP, UDP, SCTP, TCP6, UDP6, SCTP6, MARK, HIGH, MARK6)
    ),
    *(
        (kind, {"scheduler": "sh", "flags": [flag]}, f"-s sh -b {flag}")
        for kind in (TCP, TCP6, MARK)
        for flag in ("sh-fallback", "sh-port")
    ),
    *(
        (kind, {"scheduler": "mh", "flags": [flag]}, f"-s mh -b {flag}")
        for kind in (TCP, TCP6)
        for flag in ("mh-fallback", "mh-port")
    ),
    (TCP, {"scheduler": "mh", "flags": ["mh-port", "mh-fallback"]}, "-s mh -b mh-fallback,mh-port"),
    (TCP6, {"scheduler": "rr", "flags": ["flag-3", "flag-1"]}, "-s rr -b flag-1,flag-3"),
    (TCP, {"persistence": 1}, "-s wlc -p 1"),
    (TCP, {"persistence": 2678400}, "-s wlc -p 2678400"),
    (TCP, {"persistence": 60, "mask": "24"}, "-s wlc -p 60 -M 255.255.255.0"),
    (TCP, {"persistence": 60, "mask": "255.0.0.0"}, "-s wlc -p 60 -M 255.0.0.0"),
    (TCP, {"persistence": 60, "mask": "255.255.255.255"}, "-s wlc -p 60"),
    (MARK, {"persistence": 60, "mask": "16"}, "-s wlc -p 60 -M 255.255.0.0"),
    (TCP6, {"persistence": 60, "mask": "64"}, "-s wlc -p 60 -M 64"),
    (TCP6, {"persistence": 60, "mask": "1"}, "-s wlc -p 60 -M 1"),
    (UDP6, {"persistence": 60, "mask": "128"}, "-s wlc -p 60"),
    (MARK6, {"persistence": 60, "mask": "48"}, "-s wlc -p 60 -M 48"),
    *((kind, {"one_packet": True}, "-s wlc -o") for kind in (UDP, UDP6, MARK, MARK6)),
    *(
        (kind, {"persistence": 60, "engine": "sip"}, "-s wlc -p 60 --pe sip")
        for kind in (UDP, UDP6)
    ),
    (
        _kind("-t 192.0.2.1:0", False, 0, address=V4, port=0),
        {"persistence": 9},
        "-s wlc -p 9",
    ),
    (
        _kind("-t [2001:db8::1]:0", True, 0, address=V6, port=0),
        {"persistence": 9},
        "-s wlc -p 9",
    ),
    (
        UDP6,
        {
            "scheduler": "sh",
            "flags": ["sh-port"],
            "persistence": 9,
            "mask": "64",
            "engine": "sip",
        },
        "-s sh -p 9 -M 64 --pe sip -b sh-port",
    ),
]

TUNNEL: Options = {"forward": "tunnel"}
# What is said of a real server, and what ipvsadm prints behind its name.
SERVERS: list[tuple[Kind, Options, str]] = [
    *((kind, {}, "-m -w 1") for kind in KINDS.values()),
    *((kind, {"forward": "direct"}, "-g -w 1") for kind in KINDS.values()),
    *((kind, TUNNEL, "-i -w 1 --tun-type ipip") for kind in KINDS.values()),
    *(
        (kind, {"weight": weight}, f"-m -w {weight}")
        for kind in (TCP, TCP6)
        for weight in (0, 7, 65535, 2**31 - 1)
    ),
    *(
        (
            kind,
            {**TUNNEL, "tunnel": "gue", "tunnel_port": port, "tunnel_checksum": checksum},
            f"-i -w 1 --tun-type gue --tun-port {port} --tun-{checksum}",
        )
        for kind in (TCP, UDP6)
        for port, checksum in ((6080, "nocsum"), (1, "csum"), (65535, "remcsum"))
    ),
    (
        TCP6,
        {**TUNNEL, "tunnel": "gue", "tunnel_port": 6080},
        "-i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
    ),
    *(
        (
            kind,
            {**TUNNEL, "tunnel": "gre", "tunnel_checksum": checksum},
            f"-i -w 1 --tun-type gre --tun-{checksum}",
        )
        for kind in (TCP, TCP6)
        for checksum in ("nocsum", "csum")
    ),
    (UDP, {**TUNNEL, "tunnel": "ipip", "weight": 3}, "-i -w 3 --tun-type ipip"),
]

# From one description to another, in one change of what is there: what is not said stays.
SERVICE_EDITS: list[tuple[Kind, Options, Options, str]] = [
    (TCP, {"scheduler": "rr"}, {"scheduler": "wrr"}, "-s wrr"),
    (TCP, {"scheduler": "rr", "persistence": 60}, {"scheduler": "wrr"}, "-s wrr -p 60"),
    (TCP, {"persistence": 60, "mask": "24"}, {"persistence": 61}, "-s wlc -p 61 -M 255.255.255.0"),
    (TCP, {"persistence": 60, "mask": "24"}, {"persistence": 0}, "-s wlc"),
    (TCP6, {"persistence": 60}, {"mask": "64"}, "-s wlc -p 60 -M 64"),
    (TCP, {"scheduler": "sh", "flags": ["sh-port"]}, {"flags": []}, "-s sh"),
    (TCP, {"scheduler": "sh", "flags": ["sh-port"]}, {"scheduler": "mh"}, "-s mh"),
    (UDP, {"persistence": 60, "engine": "sip"}, {"engine": ""}, "-s wlc -p 60"),
    (UDP6, {"one_packet": True}, {"one_packet": False}, "-s wlc"),
    (MARK6, {"scheduler": "rr"}, {"scheduler": "sh", "flags": ["sh-port"]}, "-s sh -b sh-port"),
]
SERVER_EDITS: list[tuple[Kind, Options, Options, str]] = [
    (TCP, {"weight": 5}, {"weight": 0}, "-m -w 0"),
    (TCP6, {"weight": 0, "forward": "direct"}, {"weight": 5}, "-g -w 5"),
    (TCP, {"weight": 5}, {"forward": "direct"}, "-g -w 5"),
    (TCP, {"forward": "direct"}, {**TUNNEL, "tunnel": "gre"},
     "-i -w 1 --tun-type gre --tun-nocsum"),
    (TCP6, {**TUNNEL, "tunnel": "gue", "tunnel_port": 6080}, {"tunnel": "ipip"},
     "-i -w 1 --tun-type ipip"),
    (TCP, {**TUNNEL, "tunnel": "gue", "tunnel_port": 6080}, {"forward": "nat"}, "-m -w 1"),
    (TCP, {**TUNNEL, "tunnel": "gre"}, {"tunnel_checksum": "csum"},
     "-i -w 1 --tun-type gre --tun-csum"),
    (MARK, {"upper": 9, "lower": 3}, {"upper": 0}, "-m -w 1"),
]  # fmt: skip


def ids(case: object) -> str | None:
    """A test's name from its case."""
    if isinstance(case, Kind):
        return case.words.replace(" ", "")
    if isinstance(case, dict):
        return ",".join(f"{name}={value}" for name, value in case.items()) or "defaults"
    return None


def plain(result: Any) -> str:
    """What must be the same whether it was foretold or done."""
    left_out = ("invocation", "waited", "drained")
    kept = {name: value for name, value in result.items() if name not in left_out}
    return json.dumps(kept, sort_keys=True)


def thrice(module: Any, expected: list[str], **options: object) -> Any:
    """The task under check mode, in earnest, and again; the result of the second."""
    with Kernel() as kernel:
        before = kernel.read()
        foretold = run(module, check=True, diff=True, **options)
        assert foretold.get("changed"), foretold
        assert kernel.read() == before
    done = run(module, diff=True, **options)
    assert plain(done) == plain(foretold)
    assert saved() == expected
    again = run(module, diff=True, **options)
    assert (again["changed"], again["commands"], again["changes"]) == (False, [], [])
    assert again["before"] == again["after"] == done["after"]
    assert again["diff"] == {"before": "", "after": ""}
    return done


@pytest.mark.parametrize(("kind", "said", "printed"), SERVICES, ids=ids)
def test_a_service(kind: Kind, said: Options, printed: str) -> None:
    result = thrice(ipvs_service, [f"-A {kind.words} {printed}"], **kind.options, **said)
    assert len(result["commands"]) == 1
    assert result["before"] is None


@pytest.mark.parametrize(("kind", "said", "printed"), SERVERS, ids=ids)
def test_a_server(kind: Kind, said: Options, printed: str) -> None:
    run(ipvs_service, scheduler="rr", **kind.options)
    expected = [
        f"-A {kind.words} -s rr",
        f"-a {kind.words} -r {kind.server_words} {printed}",
    ]
    result = thrice(ipvs_server, expected, service=kind.options, address=kind.server, **said)
    assert len(result["commands"]) == 1


@pytest.mark.parametrize(("kind", "first", "then", "printed"), SERVICE_EDITS, ids=ids)
def test_a_service_is_changed_in_place(
    kind: Kind, first: Options, then: Options, printed: str
) -> None:
    run(ipvs_service, **kind.options, **first)
    run(ipvs_server, service=kind.options, address=kind.server)
    expected = [f"-A {kind.words} {printed}", f"-a {kind.words} -r {kind.server_words} -m -w 1"]
    result = thrice(ipvs_service, expected, **kind.options, **then)
    assert [change["operation"] for change in result["changes"]] == ["edit service"]


@pytest.mark.parametrize(("kind", "first", "then", "printed"), SERVER_EDITS, ids=ids)
def test_a_server_is_changed_in_place(
    kind: Kind, first: Options, then: Options, printed: str
) -> None:
    run(ipvs_service, **kind.options)
    run(ipvs_server, service=kind.options, address=kind.server, **first)
    expected = [f"-A {kind.words} -s wlc", f"-a {kind.words} -r {kind.server_words} {printed}"]
    result = thrice(ipvs_server, expected, service=kind.options, address=kind.server, **then)
    assert [change["operation"] for change in result["changes"]] == ["edit server"]


@pytest.mark.parametrize("kind", [TCP, UDP6, MARK6], ids=ids)
@pytest.mark.parametrize(("upper", "lower"), [(1, 0), (100, 50), (7, 7), (2**31 - 1, 1)])
def test_thresholds(kind: Kind, upper: int, lower: int) -> None:
    """Which `ipvsadm -Sn` does not print, but `-L --thresholds` does."""
    run(ipvs_service, **kind.options)
    expected = [f"-A {kind.words} -s wlc", f"-a {kind.words} -r {kind.server_words} -m -w 1"]
    said = {"address": kind.server, "upper": upper, "lower": lower}
    result = thrice(ipvs_server, expected, service=kind.options, **said)
    assert result["commands"][0].endswith(f" -x {upper} -y {lower}")
    last = readers.ipvsadm("-Ln", "--thresholds").splitlines()[-1].split()
    assert last[:4] == ["->", kind.server_words, str(upper), str(lower)]


@pytest.mark.parametrize(
    ("kind", "server", "printed"),
    [(TCP6, "198.51.100.1", "198.51.100.1:80"), (TCP, "2001:db8:1::1", "[2001:db8:1::1]:80")],
    ids=ids,
)
def test_a_tunnel_joins_the_families(kind: Kind, server: str, printed: str) -> None:
    run(ipvs_service, **kind.options)
    expected = [
        f"-A {kind.words} -s wlc",
        f"-a {kind.words} -r {printed} -i -w 1 --tun-type ipip",
    ]
    thrice(ipvs_server, expected, service=kind.options, address=server, forward="tunnel")


@pytest.mark.parametrize("kind", [TCP, TCP6], ids=ids)
def test_a_port_of_its_own_is_for_nat(kind: Kind) -> None:
    run(ipvs_service, **kind.options)
    named = {"service": kind.options, "address": kind.server, "port": 8080}
    eighty = kind.server_words
    service, other = f"-A {kind.words} -s wlc", eighty.replace(":80", ":8080")
    if kind is TCP6:
        other = eighty[: -len("80")] + "8080"
    thrice(ipvs_server, [service, f"-a {kind.words} -r {other} -m -w 1"], **named)
    run(ipvs_server, **named, state="absent")
    result = thrice(
        ipvs_server, [service, f"-a {kind.words} -r {eighty} -g -w 1"], **named, forward="direct"
    )
    (warning,) = result["warnings"]
    assert "8080" in warning and "port 80" in warning


@pytest.mark.parametrize("kind", KINDS.values(), ids=ids)
def test_absent(kind: Kind) -> None:
    run(ipvs_service, **kind.options)
    run(ipvs_server, service=kind.options, address=kind.server)
    named: Options = {"service": kind.options, "address": kind.server, "state": "absent"}
    gone = thrice(ipvs_server, [f"-A {kind.words} -s wlc"], **named)
    assert gone["after"] is None
    run(ipvs_server, service=kind.options, address=kind.server)
    gone = thrice(ipvs_service, [], **kind.options, state="absent")
    assert gone["commands"] == [f"ipvsadm -D {kind.words.replace('-f -1', '-f 4294967295')}"]


def whole_table() -> tuple[list[Options], list[str]]:
    """All of the above as one description, each service at a port or a mark of its own."""
    services, lines = [], []
    for number, (kind, said, printed) in enumerate(SERVICES):
        services.append({**_moved(kind.options, number), **said, "servers": []})
        lines.append(f"-A {_moved_words(kind, number)} {printed}")
    for number, (kind, said, printed) in enumerate(SERVERS, len(services)):
        port = 0 if "fwmark" in kind.options else 1000 + number
        address = f"[{kind.server}]" if ":" in kind.server else kind.server
        server = {"address": kind.server, **said}
        services.append({**_moved(kind.options, number), "servers": [server]})
        lines.append(f"-A {_moved_words(kind, number)} -s wlc")
        lines.append(f"-a {_moved_words(kind, number)} -r {address}:{port} {printed}")
    return services, lines


def _moved(options: Options, number: int) -> Options:
    key = "fwmark" if "fwmark" in options else "port"
    if options.get("port") == 0:  # stands for every port: there is one
        return options
    return {**options, key: 1000 + number}


def _moved_words(kind: Kind, number: int) -> str:
    if kind.options.get("port") == 0:
        return kind.words
    words, old = kind.words, str(kind.options.get("port", kind.options.get("fwmark")))
    if kind is HIGH:
        old = "-1"
    head, _old, tail = words.rpartition(old)
    return f"{head}{1000 + number}{tail}"


@pytest.mark.parametrize("state", ["merged", "replaced", "overridden"])
def test_all_of_it_in_one_table(state: str) -> None:
    """By ipvs_table, from empty; and what ipvs_info returns changes nothing."""
    services, lines = whole_table()
    run(ipvs_table, state=state, check=True, services=services)
    assert saved() == []
    done = run(ipvs_table, state=state, services=services)
    assert sorted(saved()) == sorted(lines)
    assert not run(ipvs_table, state=state, services=services)["changed"]
    read = run(ipvs_info, counters=True)
    assert read["commands"] == [command for command in read["commands"] if command in lines]
    for again in ({"services": read["services"]}, {"saved": "\n".join(read["commands"])}):
        result = run(ipvs_table, state="overridden", **again)
        assert result.get("changed") is False, result
    assert result["after"] == done["after"]
    with Kernel() as kernel:
        assert readers.by_pyroute2() == kernel.read()


def test_what_ipvsadm_saves_can_be_given() -> None:
    """The real output of `ipvsadm -Sn`, and the table is as it was."""
    services, lines = whole_table()
    run(ipvs_table, services=services)
    text = readers.ipvsadm("-Sn")
    readers.ipvsadm("-C")
    assert run(ipvs_table, state="merged", saved=text)["changed"]
    assert sorted(saved()) == sorted(lines)
    assert not run(ipvs_table, state="overridden", saved=text)["changed"]
