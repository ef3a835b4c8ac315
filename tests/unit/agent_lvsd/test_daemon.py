# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of lvsd with real checks on loopback and a model for a kernel."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from piranha.control.link import Link
from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import ServerKey, Table
from piranha.lvsd import child as child_module
from piranha.lvsd import daemon as daemon_module
from piranha.lvsd.daemon import Daemon
from piranha.lvsd.drift import Glance
from piranha.lvsd.orders import Refused
from piranha.nanny import probe
from piranha.pulse import warm

from .daemon_lab import FOREIGN, FOREIGN_ENTRY, KEY, Lab, shown


def test_a_server_dies_and_returns(lab: Lab) -> None:
    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        lab.backends[1].stop()
        await lab.until({0: 1})
        lab.backends[1].start()
        began = time.monotonic()
        await lab.until({0: 1, 1: 1})
        assert 0.2 < time.monotonic() - began < 1

    lab.run(story)
    port = lab.backends[1].port
    where = f"real server 127.0.0.1:{port} of mail (203.0.113.100:25/tcp)"
    assert lab.ears.texts("DOWN") == [
        f"{where} is DOWN: connection refused; removed, 1 of 2 servers in service"
    ]
    first, again = lab.ears.texts(f"{where} is UP")
    assert first.startswith(f"{where} is UP: connected; admitted with weight 1, ")
    assert again.endswith("admitted with weight 1, 2 of 2 servers in service")
    assert FOREIGN in lab.kernel.table


def test_the_last_server_is_a_crisis_and_the_sorry_server_serves(lab: Lab) -> None:
    lab.write("    sorry_server = 192.0.2.99")

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        lab.backends[0].stop()
        await lab.until({1: 1})
        lab.backends[1].stop()
        await lab.until({-1: 1})
        lab.backends[0].start()
        await lab.until({0: 1})

    lab.run(story)
    (text,) = lab.ears.texts("0 of 2 servers")
    assert text.endswith("0 of 2 servers in service, the sorry server 192.0.2.99 serves")


def test_quiesce_keeps_the_entry_with_weight_0(lab: Lab) -> None:
    lab.write("    quiesce_server = 1", weight=5)

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 5, 1: 5})
        lab.backends[0].stop()
        await lab.until({0: 0, 1: 5})
        lab.backends[0].start()
        await lab.until({0: 5, 1: 5})

    lab.run(story)
    assert "set to weight 0, 1 of 2" in lab.ears.texts("DOWN")[0]


def test_the_table_is_adopted_and_left_as_it_is(lab: Lab) -> None:
    """Present servers stay through stop and start; every table ever seen has both."""
    lab.run(lambda daemon: lab.until({0: 1, 1: 1}))
    assert lab.weights() == {0: 1, 1: 1}
    seen: list[dict[int, int]] = []
    apply = lab.kernel.apply

    def watching(operations: Any) -> Any:
        report = apply(operations)
        seen.append(lab.weights())
        return report

    lab.kernel.apply = watching  # type: ignore[method-assign]
    firsts: list[dict[str, Any]] = []

    async def story(daemon: Daemon) -> None:
        firsts.extend(shown(daemon))
        await asyncio.sleep(0.4)

    lab.run(story)
    assert seen
    assert all(weights == {0: 1, 1: 1} for weights in seen)
    servers = firsts[0]["servers"]
    assert [(server["state"], server["reason"]) for server in servers] == [
        ("UP", "was in the table when lvsd started; not checked yet")
    ] * 2


def test_an_adopted_server_that_is_dead_goes_at_its_first_check(lab: Lab) -> None:
    lab.run(lambda daemon: lab.until({0: 1, 1: 1}))
    lab.backends[1].stop()
    lab.run(lambda daemon: lab.until({0: 1}))


def test_reload_touches_only_what_changed(lab: Lab) -> None:
    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        lab.write(weight=7)
        assert daemon.reload() == []
        assert lab.weights() == {0: 7, 1: 7}
        lab.write(servers=1)
        assert daemon.reload() == []
        assert lab.weights() == {0: 1}
        lab.write()
        assert daemon.reload() == []
        await lab.until({0: 1, 1: 1})

    lab.run(story)
    assert lab.ears.texts("DOWN") == []


def test_a_bad_file_changes_nothing_and_is_told(lab: Lab) -> None:
    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        lab.path.write_text(lab.path.read_text().replace("port = 25", "prot = 25"))
        problems = daemon.reload()
        assert len(problems) == 1
        assert "lvs.cf:7:" in problems[0]
        assert lab.weights() == {0: 1, 1: 1}
        lab.path.unlink()
        assert "No such file" in daemon.reload()[0]
        lab.write(weight=2)
        assert daemon.reload() == []
        assert lab.weights() == {0: 2, 1: 2}

    lab.run(story)
    assert lab.ears.texts("the running configuration stays")


def test_a_bad_file_at_the_start_leaves_the_table_and_is_read_again(lab: Lab) -> None:
    lab.run(lambda daemon: lab.until({0: 1, 1: 1}))
    good = lab.path.read_text()
    lab.path.write_text("nonsense {\n")

    async def story(daemon: Daemon) -> None:
        await asyncio.sleep(0.5)
        assert lab.weights() == {0: 1, 1: 1}
        assert not lab.ears.states[-1]["config"]["ok"]
        lab.path.write_text(good)
        await asyncio.sleep(0.5)
        assert lab.ears.states[-1]["config"]["ok"]

    lab.run(story)
    assert len(lab.ears.texts("the table stays as it is")) == 1


def test_drift_is_repaired_and_told(lab: Lab) -> None:
    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        lab.kernel.table = Table([FOREIGN_ENTRY])
        await lab.until({0: 1, 1: 1})
        await asyncio.sleep(0.2)

    lab.run(story)
    (text,) = lab.ears.texts("somebody else")
    assert "add service tcp 203.0.113.100:25" in text
    assert lab.ears.states[-1]["table"]["drifts"] == 1


def test_a_kernel_without_ipvs_is_told_once_and_tried_again(lab: Lab) -> None:
    lab.kernel.refusal = IpvsError("IPVS in the kernel", "this kernel has no IPVS", "load it")

    async def story(daemon: Daemon) -> None:
        await asyncio.sleep(0.7)
        for text in lab.ears.texts("is UP"):
            assert text.endswith("; not admitted with weight 1, since the table cannot be changed")
        table = lab.ears.states[-1]["table"]
        assert table["ok"] is False
        assert table["error"] == "IPVS in the kernel: this kernel has no IPVS; load it."
        lab.kernel.refusal = None
        await lab.until({0: 1, 1: 1})

    lab.run(story)
    assert len(lab.ears.texts("this kernel has no IPVS")) == 1
    assert len(lab.ears.texts("the table is as it shall be again")) == 1


def test_the_snapshot_says_why_and_since_when(lab: Lab) -> None:
    before = time.time()

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        lab.backends[0].stop()
        await lab.until({1: 1})
        await asyncio.sleep(0.1)
        known, (before_that,) = len(lab.ears.events), shown(daemon)
        await asyncio.sleep(0.4)
        last.extend(shown(daemon))
        # Both were checked again, and no check is an event: changes of state are.
        for one, two in zip(before_that["servers"], last[0]["servers"], strict=True):
            assert two["last_check"]["at"] > one["last_check"]["at"]
        assert len(lab.ears.events) == known

    last: list[dict[str, Any]] = []
    lab.run(story)
    (virtual,) = last
    assert (virtual["name"], virtual["address"], virtual["port"]) == ("mail", "203.0.113.100", 25)
    down, up = virtual["servers"]
    assert (down["state"], down["reason"], down["weight"], down["configured_weight"]) == (
        "DOWN",
        "connection refused",
        None,
        1,
    )
    assert before < down["since"] < time.time()
    assert before < down["last_check"]["at"] < time.time()
    assert (up["state"], up["last_check"]["answer"]) == ("UP", "connected")
    assert up["last_check"]["warning"] is None
    assert 0 < up["last_check"]["seconds"] < 0.1


def test_what_cannot_be_checked_is_told_once_and_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})

        def full(check: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(probe, "_socket", full)
        await asyncio.sleep(0.5)
        assert lab.weights() == {0: 1, 1: 1}

    lab.run(story)
    told = lab.ears.texts("too many open files")
    assert len(told) == 2
    assert all(text.endswith("on this router; it stays UP") for text in told)


class Child:
    """lvsd as pulse runs it: a forked child at the other end of a link."""

    def __init__(self, lab: Lab) -> None:
        self.process = warm.spawn("lvsd", lambda s: child_module.run(s, lab.path, lab.folder))
        self.messages: list[dict[str, Any]] = []
        self.unread: list[dict[str, Any]] = []

    def hear(self, part: str, limit: float = 10.0) -> dict[str, Any]:
        """Wait for a message that has this key."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            # Several messages may come at once; those behind the one wanted are for the next call.
            self.unread += self.process.link.receive()
            while self.unread:
                message = self.unread.pop(0)
                self.messages.append(message)
                if part in message:
                    return message
            time.sleep(0.01)
        raise AssertionError(f"no {part} in {self.messages}")

    def ended(self, limit: float = 5.0) -> int | None:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            status = self.process.poll()
            if status is not None:
                return status
            time.sleep(0.01)
        return None


@pytest.fixture
def child(lab: Lab) -> Iterator[Child]:
    made = Child(lab)
    yield made
    if made.ended(0.05) is None:
        made.process.kill()


def test_the_child_ticks_answers_and_stops(child: Child) -> None:
    assert child.hear("tick")["tick"] <= time.monotonic()
    assert child.hear("state")["state"]["services"] == 1
    child.process.link.send({"ask": 1, "do": "reload"})
    assert child.hear("answer") == {"answer": 1, "ok": True, "result": {}}
    child.process.link.send({"ask": 2, "do": "dance"})
    answer = child.hear("answer")
    assert (answer["answer"], answer["ok"]) == (2, False)
    assert "dance" in answer["error"]
    child.process.link.send({"ask": 3, "do": "stop"})
    assert child.hear("answer") == {"answer": 3, "ok": True, "result": {}}
    assert child.ended() == 0


@pytest.mark.parametrize("where", ["_reconcile", "_on_result"])
def test_a_mistake_of_ours_is_told_and_ends_the_process(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(daemon_module.Daemon, where, broken)
    monkeypatch.setattr(daemon_module.Daemon, "_look", lambda self: None)
    child = Child(lab)
    try:
        told = child.hear("event")
        while "a mistake" not in told["event"]["text"]:
            told = child.hear("event")
        assert told["event"]["level"] == "crit"
        assert child.ended() == warm.FAILED
    finally:
        child.process.kill()


def test_a_refused_reload_says_why(child: Child, lab: Lab) -> None:
    child.hear("state")
    lab.path.write_text("nonsense\n")
    child.process.link.send({"ask": 1, "do": "reload"})
    answer = child.hear("answer")
    assert not answer["ok"]
    assert "lvs.cf:1:1" in answer["error"]


def test_the_child_ends_when_pulse_has_gone(child: Child) -> None:
    child.hear("tick")
    child.process.link.close()
    assert child.ended() == 0


def test_a_pulse_that_does_not_listen_blocks_nobody(child: Child) -> None:
    """Thousands of answers that nobody reads: lvsd drops what does not fit and goes on."""
    child.hear("tick")
    link = child.process.link
    for number in range(5000):
        link.send({"ask": number, "do": "dance"})
        while link.wants_write and not link.flush():
            time.sleep(0.001)  # lvsd reads although nobody reads what it writes
    asked = time.monotonic()
    while child.hear("tick")["tick"] < asked:
        pass
    link.send({"ask": -1, "do": "stop"})
    assert child.ended() == 0


def test_alone_term_ends_it(lab: Lab) -> None:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(child_module.run(theirs, lab.path, lab.folder))
        finally:
            os._exit(1)
    theirs.close()
    link = Link(ours)
    deadline = time.monotonic() + 10
    while not link.receive() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    link.close()


def test_an_order_is_kept_over_a_restart_and_taken_back(lab: Lab) -> None:
    async def drain(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        port = lab.backends[1].port
        answer = daemon.override(
            {"server": "s1", "mode": "drained", "reason": "disk", "by": "anna"}
        )
        assert answer["changed"]
        assert lab.weights() == {0: 1, 1: 0}
        assert daemon.override({"server": "s1", "mode": "drained"})["changed"] is False
        (told,) = lab.ears.texts("drained by")
        assert told == "real server s1 of mail is drained by anna: disk"
        server = shown(daemon)[0]["servers"][1]
        assert (server["state"], server["weight"], server["configured_weight"]) == ("DRAIN", 0, 1)
        assert server["reason"] == "drained by anna (disk); connected"
        lab.kernel.connections[ServerKey("127.0.0.1", port)] = (2, 9, 0)
        found = daemon.servers({"server": "s1"})
        assert found["left"] == {"active": 2}
        assert found["servers"][0]["load"]["inactive"] == 9

    async def again(daemon: Daemon) -> None:
        await asyncio.sleep(0.3)
        assert lab.weights() == {0: 1, 1: 0}
        assert daemon.override({"server": "s0", "mode": "disabled"})["warnings"] == [
            "virtual service mail (203.0.113.100:25/tcp) has no real server in service"
        ]
        await lab.until({1: 0})
        lab.backends[0].stop()
        await asyncio.sleep(0.3)
        lab.backends[0].start()
        await asyncio.sleep(0.6)
        assert lab.weights() == {1: 0}
        assert [s["state"] for s in shown(daemon)[0]["servers"]] == ["MAINT", "DRAIN"]
        dry = daemon.override({"server": "s1", "mode": "enabled", "dry_run": True})
        assert dry["changed"] is True
        assert lab.weights() == {1: 0}
        for name in ("s0", "s1"):
            daemon.override({"server": name, "mode": "enabled"})
        await lab.until({0: 1, 1: 1})

    lab.run(drain)
    lab.run(again)
    quiet = [event for event in lab.ears.events if "it is disabled and stays out" in event["text"]]
    assert [event["level"] for event in quiet] == ["info", "info"]


def test_an_order_that_cannot_be_kept_is_refused_and_nothing_changes(lab: Lab) -> None:
    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        (lab.folder / "overrides.json").mkdir()
        with pytest.raises(Refused, match=r"overrides\.json: cannot be written"):
            daemon.override({"server": "s1", "mode": "drained"})
        assert lab.weights() == {0: 1, 1: 1}

    lab.run(story)


def test_only_what_differs_is_read_again(lab: Lab) -> None:
    """With a cheap look, the whole table is read once, and then only the service that changed."""
    reads: list[object] = []
    read = lab.kernel.read

    def counting(only: Any = None) -> Table:
        reads.append(only)
        return read(only)

    lab.kernel.read = counting  # type: ignore[method-assign]
    proc = lab.folder / "ip_vs"
    header = "IP Virtual Server version 1.2.1 (size=4096)\nProt\n  -> Remote\n"
    proc.write_text(header)

    async def story(daemon: Daemon) -> None:
        daemon._glance = Glance(proc)
        await lab.until({0: 1, 1: 1})
        # What lvsd wrote after its last look is undone before the next one: as before, and gone.
        lab.kernel.table = Table([FOREIGN_ENTRY])
        await lab.until({0: 1, 1: 1})
        proc.write_text(f"{header}TCP  CB007164:0019 wlc \n")
        await asyncio.sleep(0.5)
        reads.clear()
        await asyncio.sleep(0.5)
        assert reads == []
        lab.kernel.table = Table([FOREIGN_ENTRY])
        proc.write_text(header)
        await lab.until({0: 1, 1: 1})
        assert reads[0] == {KEY}
        assert None not in reads
        await asyncio.sleep(0.3)  # until it has been told

    lab.run(story)
    assert lab.ears.states[-1]["table"]["drifts"] == 2
    assert FOREIGN in lab.kernel.table
