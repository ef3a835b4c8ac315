# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fos reads and leaves: directives, ports, fos.json, the gateway; and how a stop is judged."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from piranha import cli
from piranha.commands.command import Command, Result
from piranha.core.lvs_cf import api
from piranha.fos import gateway, hands, listening, record, release
from piranha.fos.board import Entry, Phase, Role
from piranha.fos.settings import Service, services, stop_limit
from piranha.fos.suspicion import Next, Suspicion
from piranha.fos.watching import Verdicts, patience, watched
from piranha.nanny.outcome import Result as Checked
from piranha.nanny.outcome import bad, good, unknown
from piranha.nanny.spec import SocketCheck
from piranha.pulse import resign
from piranha.pulse.word import Word

TEXT = """\
service = fos
primary = 192.0.2.1
failover web {
    active = 1
    address = 192.0.2.9 eth0
    port = 80
    timeout = 2
    fall = 2
    start_cmd = "/bin/web start"
    stop_cmd = "/bin/web stop"
    stop_timeout = 7
}
failover off {
    active = 0
    address = 192.0.2.9 eth0
    port = 81
}
failover tftp {
    active = 1
    address = 192.0.2.9 eth0
    port = 69
    protocol = udp
    critical = 0
    max_restarts = 3
    start_timeout = 1.5
}
"""


def test_directives_become_services() -> None:
    config = api.load(TEXT).config
    web, tftp = services(config)
    assert (web.start, web.stop) == (("/bin/web", "start"), ("/bin/web", "stop"))
    assert (web.fall, web.max_restarts, web.critical, web.stop_timeout) == (2, 1, True, 7)
    assert web.watch is not None
    assert isinstance(web.watch.check, SocketCheck)
    assert (web.watch.interval, web.watch.fast) == (2, 0.5)
    assert tftp.watch is None, "there is nothing that could be checked"
    assert (tftp.critical, tftp.max_restarts, tftp.start_timeout) == (False, 3, 1.5)
    assert stop_limit(config) == 7 + 30 + 5
    assert services(api.load(TEXT.replace("service = fos", "service = lvs")).config) == ()


def test_the_rules_about_failover_services_find_what_is_doubtful() -> None:
    codes = {found.code for found in api.load(TEXT).findings}
    assert {"W309", "W320"} <= codes
    same = TEXT.replace("web start", "web stop")
    assert "W322" in {found.code for found in api.load(same).findings}
    none = TEXT.replace("fall = 2", "critical = 0")
    assert "W321" in {found.code for found in api.load(none).findings}
    virtual = "primary = 192.0.2.1\nvirtual v {\nmax_restarts = 2\n}\ncmd_timeout = 3\n"
    told = [found.message for found in api.load(virtual).findings if found.code == "A302"]
    assert len(told) == 2


@pytest.mark.parametrize(
    ("bound", "asked", "found"),
    [
        (("127.0.0.1", socket.AF_INET), "127.0.0.1", True),
        (("127.0.0.1", socket.AF_INET), "127.0.0.2", False),
        (("0.0.0.0", socket.AF_INET), "127.0.0.2", True),
        (("::", socket.AF_INET6), "127.0.0.1", True),
        (("::1", socket.AF_INET6), "::1", True),
        (("0.0.0.0", socket.AF_INET), "::1", False),
    ],
)
def test_a_port_that_a_program_listens_on_is_seen(
    bound: tuple[str, int], asked: str, found: bool
) -> None:
    with socket.socket(bound[1], socket.SOCK_STREAM) as sock:
        sock.bind((bound[0], 0))
        port = sock.getsockname()[1]
        assert not listening.now("tcp", asked, port), "bound, but not listening"
        sock.listen()
        assert listening.now("tcp", asked, port) is found
        assert not listening.now("tcp", asked, port + 1 if port < 65535 else port - 1)
    assert not listening.now("tcp", asked, port)


def test_a_datagram_port_is_seen_and_garbage_is_not() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        assert listening.now("udp", "127.0.0.1", sock.getsockname()[1])
    assert not listening.listens(["head\n 0: xyz:1 a 0A\n\n 1: 00000000\n"], "tcp", "127.0.0.1", 1)
    assert not listening.listens([], "sctp", "a name", 1)


def test_the_gateway_is_the_default_route_with_the_best_metric() -> None:
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    far = "eth0 00000000 0101A8C0 0003 0 0 200 00000000 0 0 0\n"
    near = "eth1 00000000 FE00000A 0003 0 0 100 00000000 0 0 0\n"
    net = "eth1 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
    assert gateway.gateway_in(head + far + near + net) == "10.0.0.254"
    assert gateway.gateway_in(head + far) == "192.168.1.1"
    assert gateway.gateway_in(head + net) is None
    assert gateway.gateway_in("") is None


WEB = Service("web", "127.0.0.1", 1, stop=("/bin/web", "stop"), stop_timeout=1.0)


def test_what_runs_is_found_again_but_not_after_a_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        Entry(WEB, Phase.RUNNING, 10.0, restarts=2),
        Entry(replace(WEB, name="db"), Phase.STARTING, 11.0),
        Entry(replace(WEB, name="x"), Phase.STOPPED, 12.0),
    ]
    record.write(tmp_path, entries, 1000.0)
    assert (tmp_path / record.FILE).stat().st_mode & 0o777 == 0o600
    found = record.read(tmp_path)
    assert [(one.service.name, one.phase, one.since) for one in found] == [
        ("web", Phase.RUNNING, 1010.0),
        ("db", Phase.UNKNOWN, 1011.0),
        ("x", Phase.STOPPED, 1012.0),
    ]
    assert found[0].restarts == 2
    assert found[0].service.stop == ("/bin/web", "stop")
    assert record.may_run(tmp_path)
    boot = tmp_path / "boot"
    boot.write_text("another\n")
    monkeypatch.setattr(record, "BOOT_ID", boot)
    assert record.read(tmp_path) == []
    for text in ("", "[]", '{"boot": "another", "services": [{}]}', "{"):
        (tmp_path / record.FILE).write_text(text)
        assert record.read(tmp_path) == []
        assert not record.may_run(tmp_path)


class Hand:
    """A runner of which the test says how it goes."""

    name = "hand"

    def __init__(self, ok: bool, certain: bool, kills: socket.socket | None = None) -> None:
        self.ok, self.certain, self.kills = ok, certain, kills
        self.did: list[str] = []
        self.facts: dict[str, str] = {}

    async def run(self, command: Command) -> Result:
        self.did.append("run")
        self.facts = dict(command.environment)
        return Result(self.ok, "succeeded" if self.ok else "ended with status 1")

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        return await self.run(command)

    async def finish(self, service: str, limit: float) -> None:
        self.did.append("finish")

    async def end(self, service: str) -> None:
        self.did.append("end")
        if self.kills is not None:
            self.kills.close()


def stop(hand: Hand, service: Service = WEB, *, ran: bool = True, listened: bool = False) -> Result:
    return asyncio.run(hands.stop(hand, service, "standby", ran=ran, listened=listened))


def test_a_stop_that_succeeds_is_done_when_the_port_is_free() -> None:
    hand = Hand(ok=True, certain=False)
    assert stop(hand).ok
    assert hand.did == ["run", "finish"]
    assert hand.facts["PIRANHA_SERVICE"] == "web"
    assert hand.facts["PIRANHA_ACTION"] == "stop"


@pytest.mark.parametrize("ok", [True, False])
def test_while_the_port_is_taken_it_has_not_stopped(
    ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "AFTER_KILL", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        service = replace(WEB, port=server.getsockname()[1], stop_timeout=0.3)
        hand = Hand(ok=ok, certain=True)
        begin = time.monotonic()
        result = stop(hand, service)
        assert not result.ok
        assert "is still taken" in result.words
        assert hand.did == ["run", "end"]
        assert time.monotonic() - begin < 3


def test_what_start_cmd_left_is_killed_where_that_is_possible() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    service = replace(WEB, port=server.getsockname()[1])
    result = stop(Hand(ok=False, certain=True, kills=server), service)
    assert result.ok
    assert "was killed" in result.words


def test_a_failed_stop_of_what_cannot_be_seen_is_no_stop() -> None:
    assert not stop(Hand(ok=False, certain=False)).ok
    assert "cannot be seen" in stop(Hand(ok=False, certain=False)).words
    assert stop(Hand(ok=False, certain=False), listened=True).ok, "its port is free now"
    idle = stop(Hand(ok=False, certain=False), ran=False)
    assert (idle.ok, idle.words) == (True, "it did not run")


def test_release_stops_what_runs_the_last_first_and_notes_it(tmp_path: Path) -> None:
    entries = [Entry(replace(WEB, name=name), Phase.RUNNING, 1.0) for name in ("a", "b")]
    record.write(tmp_path, entries, 0.0)
    order: list[str] = []

    class Noting(Hand):
        async def run(self, command: Command) -> Result:
            order.append(command.name)
            return await super().run(command)

    granted: list[float] = []
    assert release.stop_all(tmp_path, Noting(ok=True, certain=False), granted.append) == []
    assert granted == [12.0, 12.0], "systemd is told before each"
    assert order == ["stop b", "stop a"]
    assert not record.may_run(tmp_path)
    assert release.stop_all(tmp_path, Noting(ok=False, certain=False)) == []
    assert len(order) == 2, "nothing is stopped twice"

    record.write(tmp_path, entries, 0.0)
    (one, two) = release.stop_all(tmp_path, Noting(ok=False, certain=False))
    assert one.startswith("failover service b could not be stopped")
    assert two.startswith("failover service a could not be stopped")
    assert record.may_run(tmp_path)


def test_nobody_says_goodbye_while_a_service_may_run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Path] = []
    monkeypatch.setattr(resign, "_say_goodbye", said.append)
    record.write(tmp_path, [Entry(WEB, Phase.RUNNING, 1.0)], 0.0)
    assert resign.resign(tmp_path / "lvs.cf", tmp_path) == 0
    assert said == []
    record.write(tmp_path, [Entry(WEB, Phase.STOPPED, 1.0)], 0.0)
    resign.resign(tmp_path / "lvs.cf", tmp_path)
    assert said == [tmp_path]


def test_the_active_router_checks_its_own_and_a_standby_its_partner_s() -> None:
    (web, tftp) = services(api.load(TEXT).config)
    entries = [Entry(web, Phase.RUNNING, 0.0), Entry(tftp, Phase.STOPPED, 0.0)]
    assert watched(entries, Role(holding=True)) == [web]
    there = Role(False, True, "active", Word(running=True))
    assert watched(entries, there) == [web], "what is not critical is its own matter"
    for word in (None, Word(running=False), Word(running=True, mending=True)):
        assert watched(entries, replace(there, word=word)) == []
    assert watched(entries, replace(there, partner="fault")) == []


def test_a_standby_gives_the_active_one_time_to_notice_for_itself() -> None:
    (web, _unused) = services(api.load(TEXT).config)
    assert web.watch is not None
    assert patience(web) == 2 * 2 + 2 + 1

    def downs(patient: bool) -> list[float]:
        verdicts = Verdicts()
        verdicts.watch([web], 0.0, patient=patient)
        at = [float(n) for n in range(12)]
        return [
            t
            for t in at
            for s in verdicts.take(web.watch, Checked(bad("no"), t, 0.1))
            if s.down  # type: ignore[arg-type]
        ]

    assert downs(patient=False)[0] == 1.0, "the second failure"
    assert downs(patient=True)[0] == 8.0
    verdicts = Verdicts()
    verdicts.watch([web], 0.0, patient=True)
    assert verdicts.take(web.watch, Checked(unknown("no descriptors"), 0.0, 0.1)) == []
    for t in range(30):
        outcome = good("yes") if t % 5 == 0 else bad("no")
        assert not [s for s in verdicts.take(web.watch, Checked(outcome, float(t), 0.1)) if s.down]


def test_a_standby_finds_fault_only_while_its_own_network_works() -> None:
    thinks = Suspicion()
    assert thinks.failed(10.0, 11.0) is Next.TEST
    assert thinks.failed(11.0, 12.0) is Next.WAIT, "the test goes on"
    thinks.tested(False, "no echo", 13.0)
    assert thinks.blamed
    assert thinks.failed(14.0, 15.0) is Next.WAIT
    assert thinks.failed(15.5, 16.5) is Next.TEST
    thinks.tested(True, "answered", 17.0)
    assert not thinks.blamed
    assert thinks.failed(16.8, 17.8) is Next.WAIT, "that check began before the answer"
    assert thinks.failed(17.9, 18.9) is Next.COMPLAIN
    thinks.well()
    assert thinks.failed(19.0, 20.0) is Next.WAIT
    assert thinks.failed(21.0, 22.0) is Next.TEST


def test_a_service_is_checked_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "lvs.cf"

    def nanny(name: str) -> tuple[int, str]:
        status = cli.main(["nanny", "--config", str(file), name])
        told = capsys.readouterr()
        return status, told.out + told.err

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = TEXT.replace("192.0.2.9", "127.0.0.1").replace("port = 80", f"port = {port}")
        file.write_text(text)
        status, told = nanny("web")
        assert status == 0
        assert told.startswith("web: UP: ")
        assert f"connect to 127.0.0.1:{port}/tcp" in told
    status, told = nanny("web")
    assert status == 1
    assert "web: DOWN: connection refused" in told
    assert "fos counts 2 such in a row as a failure" in told
    assert nanny("tftp") == (
        2,
        "tftp: there is nothing that could be checked;"
        " add check, send or send_program to its block\n",
    )
    assert "there are: web, tftp" in nanny("off")[1]
    file.write_text("service = fos\nkeepalife = 1\n")
    assert nanny("web")[0] == 2
