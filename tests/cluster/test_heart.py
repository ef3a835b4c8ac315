# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real hearts, real sockets and kernels: takeover, handover, adoption, wrong keys.

Needs root and network namespaces, no IPVS: runs natively as well as in the kernel of the lab.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from itertools import pairwise
from pathlib import Path

import pytest
from piranha.pulse import ledger

from tests.cluster.heart_lab import (
    ALL,
    DEADTIME,
    GATEWAY,
    GOOD_KEY,
    KEEPALIVE,
    OTHER_KEY,
    PUBLIC,
    VIRTUAL,
    VIRTUAL6,
    Heart,
    Net,
    Pings,
    config,
    inside,
    pause,
    peer,
    settle,
)

MOST_GAP = 2.5
"""Seconds that clients may be without an answer when a router dies, at these intervals."""
AT_ONCE = (DEADTIME - KEEPALIVE) / 2
"""Seconds; whoever waits for silence needs at least twice that, and a virtual machine is slow."""
Three = tuple[Net, Heart, Heart]


def test_both_start_and_agree(settled: Three) -> None:
    _net, primary, backup = settled
    pause(2 * DEADTIME + 1.2, primary, backup)
    for heart in (primary, backup):
        assert heart.state["problems"] == []
        gaps = [b - a for a, b in pairwise(heart.ticks)]
        assert max(gaps) < DEADTIME / 2, "pulse resigns at half a dead time"
    for heart in (primary, backup):
        own = Path(f"/proc/{heart.pid}/status").read_text(encoding="utf-8")
        locked = int(own.partition("VmLck:")[2].split()[0])
        urgent = os.sched_getscheduler(heart.pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR
        refused = any("with less than it wants" in text for text in heart.events)
        assert refused is not (urgent and locked > 0), "it says so where that is not allowed"
    listed = json.loads((primary.run_dir / "addresses.json").read_text())
    assert {entry["address"] for entry in listed["addresses"]} == ALL
    for name in ("addresses.json", "session.json"):
        assert (primary.run_dir / name).stat().st_mode & 0o777 == 0o600


def test_a_dead_router_is_replaced_within_the_dead_time(settled: Three) -> None:
    net, primary, backup = settled
    with Pings(net.client) as pings:
        pause(0.7, primary, backup)
        moment = time.monotonic()
        net.cut(0)
        primary.kill()
        backup.until(lambda: backup.is_("active"))
        assert backup.holds() == ALL
        pause(0.5, backup)
        gap = pings.gap(moment)
    print(f"power cut: {gap:.3f} s without an answer")
    assert DEADTIME - KEEPALIVE - 0.1 < gap < MOST_GAP
    assert peer(backup) == "down"
    backup.until(lambda: backup.state["problems"] == [f"nothing is heard from {PUBLIC[0]}"])


def test_a_router_without_a_link_waits_for_one(three: Three) -> None:
    """As after boot, when the switch port opens late: nobody takes anything from anybody."""
    net, primary, backup = three
    backup.start()
    backup.until(lambda: backup.is_("active"))
    net.cut(0)
    primary.start()
    pause(2 * DEADTIME, primary, backup)
    assert primary.is_("standby")
    net.cut(0, up=True)
    pause(DEADTIME, primary, backup)
    settle(backup, primary)


def test_a_stopped_heart_hands_over_at_once_and_does_not_fail_back(settled: Three) -> None:
    net, primary, backup = settled
    with Pings(net.client) as pings:
        pause(0.7, primary, backup)
        moment = time.monotonic()
        assert primary.ask("stop")["ok"] is True
        assert primary.reap() == 0
        backup.until(lambda: backup.is_("active"), 1.0)
        pause(0.5, backup)
        gap = pings.gap(moment)
        assert primary.holds() == set()
        assert not (primary.run_dir / "addresses.json").exists()
        primary.start()
        settle(backup, primary)
        pause(2 * DEADTIME, primary, backup)
        settle(backup, primary)
        assert pings.gap(moment + 1) < AT_ONCE
    print(f"orderly stop: {gap:.3f} s without an answer")
    assert gap < AT_ONCE


@pytest.mark.parametrize("role", ["active", "standby"])
def test_a_killed_heart_returns_to_what_it_was(three: Three, role: str) -> None:
    """With a dead time that a start takes on no machine; how fast pulse is, its own tests say."""
    net, primary, backup = three
    for heart in (primary, backup):
        heart.config.write_text(config(deadtime=3 * DEADTIME))
        heart.start()
    settle(primary, backup)
    victim = primary if role == "active" else backup
    with Pings(net.client) as pings:
        for _unused in range(3):
            pause(0.5, primary, backup)
            moment = time.monotonic()
            victim.kill()
            victim.start()
            settle(primary, backup)
            pause(DEADTIME, primary, backup)
            assert pings.gap(moment) < 0.1
    assert not [text for text in backup.events if "takes the virtual" in text]
    settle(primary, backup)


def test_a_heart_started_again_reads_a_changed_file(settled: Three) -> None:
    _net, primary, backup = settled
    primary.kill()
    text = primary.config.read_text()
    primary.config.write_text(text.replace(VIRTUAL6, "2001:db8::101"))
    primary.start()
    primary.until(lambda: primary.is_("active"))
    held = {str(entry.address) for entry in primary.kernel.addresses()}
    assert "2001:db8::101" in held
    assert VIRTUAL6 not in held, "what the heart before it held is let go of"
    backup.until(lambda: any("differ" in text for text in backup.state["problems"]))


def test_another_key_is_named_and_changes_nothing(three: Three) -> None:
    _net, primary, backup = three
    backup.key_file.write_text(OTHER_KEY)
    primary.start()
    backup.start()
    sentence = "heartbeats from {} carry another key: compare {} on both routers"
    for heart, other in ((primary, PUBLIC[1]), (backup, PUBLIC[0])):
        expected = sentence.format(other, "/proc/self/cwd/heartbeat.key")
        heart.until(lambda h=heart, e=expected: h.state.get("problems") == [e])  # type: ignore[misc]
        # As if alone: a key that anybody could get round by sending another would be none.
        assert heart.is_("active")
        assert heart.state["rejected"].keys() == {"key"}
        assert [text for text in heart.events if "another key" in text] == [expected]
    backup.key_file.write_text(GOOD_KEY)
    assert backup.ask("reload")["ok"] is True
    settle(primary, backup)


def test_a_heart_that_is_resigned_for(settled: Three) -> None:
    """What pulse does for a heart that hangs: end it, release, say goodbye."""
    net, primary, backup = settled
    with Pings(net.client) as pings:
        pause(0.6, primary, backup)
        primary.kill(signal.SIGSTOP)
        pause(0.2, backup)
        moment = time.monotonic()
        primary.kill()
        primary.resign()
        assert primary.holds() == set()
        backup.until(lambda: backup.is_("active"), 0.5)
        pause(0.5, backup)
        gap = pings.gap(moment)
    print(f"resigned for: {gap:.3f} s without an answer")
    assert gap < AT_ONCE
    assert primary.resign() == 0
    primary.start()
    settle(backup, primary)


def test_resigning_for_a_heart_that_never_was(three: Three) -> None:
    _net, primary, _backup = three
    assert primary.resign() == 0


def test_a_long_sleep_does_not_make_two_owners(settled: Three) -> None:
    """No pulse here that resigns: the heart sleeps through its own replacement."""
    _net, primary, backup = settled
    primary.kill(signal.SIGSTOP)
    backup.until(lambda: backup.is_("active"), DEADTIME + 1)
    pause(0.5, backup)
    primary.kill(signal.SIGCONT)
    slept = primary.until(lambda: primary.is_("standby"), 1.0)
    print(f"{slept:.3f} s from waking up to letting go")
    assert primary.holds() == set()
    pause(DEADTIME + 0.5, primary, backup)
    settle(backup, primary)


def test_a_split_heals_in_favour_of_the_primary(settled: Three) -> None:
    net, primary, backup = settled
    net.cut(0)
    backup.until(lambda: backup.is_("active"))
    assert primary.holds() == backup.holds() == ALL
    net.cut(0, up=True)
    backup.until(lambda: backup.is_("standby"), 3 * KEEPALIVE + 2)
    assert backup.holds() == set()
    settle(primary, backup)


def test_leftovers_of_a_crash_while_letting_go_are_not_adopted(settled: Three) -> None:
    _net, primary, backup = settled
    primary.kill()
    listed = ledger.read_addresses(primary.run_dir)
    ledger.write_addresses(primary.run_dir, listed.addresses, hold=False)
    backup.until(lambda: backup.is_("active"))
    primary.start()
    settle(backup, primary)


def test_old_traffic_says_nothing(settled: Three) -> None:
    """A listener's recording, played back from the partner's own address."""
    net, primary, backup = settled
    recorded = record(net, primary, backup)
    assert len(recorded) > 3
    assert primary.ask("stop")["ok"] is True
    primary.reap()
    backup.until(lambda: backup.is_("active"))
    pause(2.5, backup)
    backup.kill()
    backup.start()
    backup.until(lambda: backup.is_("active"))
    before = len(backup.events)
    with inside(net.routers[0], lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.bind((PUBLIC[0], 0))
        for _unused in range(20):
            for data in recorded:
                sender.sendto(data, (PUBLIC[1], 539))
            pause(0.05, backup)
    pause(1.2, backup)
    assert backup.is_("active")
    assert peer(backup) == "down"
    assert backup.state["rejected"]["unconfirmed"] > len(recorded)
    assert [text for text in backup.events[before:] if "->" in text] == []


def record(net: Net, *hearts: Heart) -> list[bytes]:
    """Give the heartbeats that the primary sends on the public network within some seconds."""
    kind = (socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(0x0800))
    found: list[bytes] = []
    with inside(net.routers[1], lambda: socket.socket(*kind)) as tap:
        tap.bind(("eth0", 0x0800))
        pause(2.5, *hearts)
        while True:
            try:
                frame = tap.recv(2000)
            except BlockingIOError:
                break
            if frame[26:30] == socket.inet_aton(PUBLIC[0]) and frame[23] == socket.IPPROTO_UDP:
                found.append(frame[42:])
    return found


def test_addresses_are_announced(settled: Three) -> None:
    net, primary, backup = settled
    kind = (socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(0x0003))
    with inside(net.client, lambda: socket.socket(*kind)) as tap:
        assert primary.ask("stop")["ok"] is True
        primary.reap()
        backup.until(lambda: backup.is_("active"))
        pause(0.7, backup)
        arps, advertisements = [], 0
        while True:
            try:
                frame = tap.recv(2000)
            except BlockingIOError:
                break
            if frame[12:14] == b"\x08\x06" and frame[28:32] == socket.inet_aton(VIRTUAL):
                arps.append(struct.unpack("!H", frame[20:22])[0])
            if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136:
                advertisements += frame[62:78] == socket.inet_pton(socket.AF_INET6, VIRTUAL6)
    assert arps.count(1) >= 3
    assert arps.count(2) >= 3
    assert advertisements >= 3


def test_reload_changes_what_changed_and_a_bad_file_nothing(settled: Three) -> None:
    _net, primary, backup = settled
    good = primary.config.read_text()
    primary.config.write_text(good.replace("deadtime", "daedtime"))
    answer = primary.ask("reload")
    assert answer["ok"] is False
    assert "daedtime" in answer["error"]
    primary.config.write_text(good.replace(PUBLIC[0], "192.0.2.99"))
    answer = primary.ask("reload")
    assert answer["ok"] is False
    assert "is an address of this machine" in answer["error"]
    assert primary.holds() == ALL
    changed = config(keepalive=0.2, deadtime=0.8).replace(VIRTUAL6, "2001:db8::101")
    primary.config.write_text(changed)
    assert primary.ask("reload")["ok"] is True
    assert primary.holds() == {VIRTUAL, GATEWAY}
    assert "2001:db8::101" in {str(entry.address) for entry in primary.kernel.addresses()}
    differ = f"lvs.cf here and on {PUBLIC[0]} differ"
    backup.until(lambda: any(differ in text for text in backup.state["problems"]))
    backup.config.write_text(changed)
    assert backup.ask("reload")["ok"] is True
    backup.until(lambda: backup.state["problems"] == [])
    primary.until(lambda: primary.state["problems"] == [])
    assert primary.is_("active")


def test_a_lone_primary_is_active_at_once(three: Three) -> None:
    _net, primary, _backup = three
    primary.key_file.unlink()  # whoever has no partner needs no key
    primary.config.write_text(config(backup_active=0))
    primary.start()
    primary.until(lambda: primary.is_("active"), 1.0)
    assert primary.state["peer"] is None
    assert primary.ask("stop")["ok"] is True
    assert primary.reap() == 0
    assert primary.holds() == set()


def test_a_heart_that_is_forced_waits_for_nobody_and_beside_an_active_partner_the_backup_yields(
    three: Three,
) -> None:
    """As `pulse --forceactive`: the one for a dead partner, the other to have the primary back."""
    _net, primary, backup = three
    backup.start(force=True)
    backup.until(lambda: backup.is_("active"), AT_ONCE)
    assert any("forced to be active" in text for text in backup.events)
    primary.start(force=True)
    primary.until(lambda: primary.holds() == ALL, AT_ONCE)
    settle(primary, backup)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda h: h.key_file.unlink(), "there is no heartbeat key"),
        (lambda h: h.key_file.chmod(0o644), "others may read or change the heartbeat key"),
        (lambda h: h.key_file.write_text("secret"), "must be 64 hexadecimal digits"),
        (lambda h: h.config.write_text(config(primary="192.0.2.77")), "is an address of this"),
        (lambda h: h.config.write_text("virtual a {"), "lvs.cf"),
        (lambda h: h.config.unlink(), "No such file"),
    ],
    ids=["no key", "open key", "bad key", "stranger", "bad file", "no file"],
)
def test_what_forbids_a_start_is_said_in_one_sentence(
    three: Three, break_it: object, sentence: str
) -> None:
    _net, primary, _backup = three
    assert callable(break_it)
    break_it(primary)
    primary.start()
    assert primary.reap() == 78
    primary.hear()
    assert len(primary.events) == 1
    assert sentence in primary.events[0]
    assert "\n" not in primary.events[0]
    assert "secret" not in primary.events[0]


def test_a_device_that_is_not_there_leaves_it_to_the_partner(three: Three) -> None:
    _net, primary, backup = three
    wrong = config().replace("eth0:1", "eth7:1").replace("eth1:1", "eth8:1")
    primary.config.write_text(wrong)
    primary.start()
    backup.start()
    backup.until(lambda: backup.is_("active"))
    assert backup.holds() == ALL
    primary.until(lambda: primary.is_("standby") or primary.is_("fault"))
    assert any("there is no interface eth7" in text for text in primary.events)


def test_pulse_gone_is_the_same_as_stop(settled: Three) -> None:
    _net, primary, backup = settled
    primary.link.close()
    pid = primary.pid
    backup.until(lambda: backup.is_("active"), 1.0)
    assert primary.holds() == set()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    primary.pid = 0
