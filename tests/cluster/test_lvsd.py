# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd on the real IPVS table, with real servers that die and come back; read by ipvsadm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.lvsd_lab import (
    SERVERS,
    STANDSTILL,
    VIP,
    Held,
    Lvsd,
    Sampler,
    Web,
    client,
    hexadecimal,
    networks,
    sh,
    table,
    until,
)

BOTH = {"21": 1, "22": 1}
FOREIGN = "203.0.113.200:25"
ONE, TWO = hexadecimal("one"), hexadecimal("two")


@pytest.fixture(scope="module")
def webs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Web]]:
    with networks():
        made = {name: Web(name, tmp_path_factory.mktemp("web")) for name in ("one", "two")}
        for web in made.values():
            web.start()
        yield made
        for web in made.values():
            web.stop()


def write(path: Path, timeout: str = "1", extra: str = "", weight: int = 1) -> None:
    """An lvs.cf with one service of two servers."""
    path.write_text(
        f"""\
service = lvs
primary = 203.0.113.1
network = nat
nat_router = 192.0.2.254 inside:1
virtual web {{
    active = 1
    address = {VIP} outside:1
    port = 80
    scheduler = rr
    timeout = {timeout}
    reentry = 1
    {extra}
    server one {{
        address = 192.0.2.21
        active = 1
        weight = {weight}
    }}
    server two {{
        address = 192.0.2.22
        active = 1
    }}
}}
"""
    )


def foreign_service() -> None:
    """A service that is somebody else's."""
    sh("ipvsadm", "-A", "-t", FOREIGN, "-s", "wlc")
    sh("ipvsadm", "-a", "-t", FOREIGN, "-r", "192.0.2.9:25", "-m")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "lvs.cf"
    write(path)
    return path


@pytest.fixture
def lvsd(webs: dict[str, Web], config: Path, tmp_path: Path) -> Iterator[Lvsd]:
    """lvsd with both servers in the table, beside a service of somebody else."""
    sh("ipvsadm", "-C")
    foreign_service()
    made = Lvsd(config, tmp_path)
    try:
        until(BOTH)
        yield made
        # Whatever the story was, what is somebody else's is as it was.
        assert table(FOREIGN) == {"9": 1}
    finally:
        status = made.stop()
    assert status == 0


FAILURES: dict[str, tuple[Callable[[Web], None], Callable[[Web], None], str]] = {
    "dead": (Web.stop, Web.start, "connection refused"),
    "silent": (Web.freeze, Web.thaw, "connected, but no answer within 1 s"),
    "unplugged": (Web.unplug, Web.plug, ""),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_fails_leaves_and_returns(lvsd: Lvsd, webs: dict[str, Web], failure: str) -> None:
    fail, mend, words = FAILURES[failure]
    fail(webs["two"])
    until({"21": 1})
    (text,) = lvsd.texts("DOWN")
    where = f"real server 192.0.2.22:80 of web ({VIP}:80/tcp)"
    assert text.startswith(f"{where} is DOWN: {words}")
    assert text.endswith("; removed, 1 of 2 servers in service")
    mend(webs["two"])
    until(BOTH)
    assert lvsd.texts(f"{where} is UP")[-1].endswith("with weight 1, 2 of 2 servers in service")


def test_an_entry_taken_out_by_hand_is_no_failure(lvsd: Lvsd, config: Path) -> None:
    write(config, "40")
    assert lvsd.ask("reload")["ok"]
    time.sleep(2)
    at = lvsd.servers()["two"]["last_check"]["at"]
    sh("ip", "neigh", "del", "192.0.2.22", "dev", "inside")
    deadline = time.monotonic() + 10
    while lvsd.servers()["two"]["last_check"]["at"] == at:
        assert time.monotonic() < deadline, "it was not checked before its time"
        time.sleep(0.1)
    assert table() == BOTH
    assert lvsd.texts("DOWN") == []


def test_how_long_a_dead_server_stays(
    lvsd: Lvsd, webs: dict[str, Web], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most one interval for a port that refuses, two for silence, and a little for us."""
    seconds = 1.0
    write(config, f"{seconds:g}")
    assert lvsd.ask("reload")["ok"]
    measured: dict[str, list[float]] = {"dead": [], "silent": []}
    for name, times in measured.items():
        fail, mend, _unused = FAILURES[name]
        for number in range(2):
            time.sleep(seconds * number / 2)  # at different moments of the interval
            with Sampler() as sampler:
                began = time.monotonic()
                fail(webs["two"])
                took = sampler.wait(lambda now: TWO not in now, began)
            times.append(took)
            mend(webs["two"])
            until(BOTH)
    with capsys.disabled():
        for name, times in measured.items():
            figures = ", ".join(f"{took:.2f}" for took in times)
            print(f"\nremoved after (s), timeout {seconds:g}, {name}: {figures}")
    # 1 s for a kernel that shares two processors with whatever else is tested.
    assert max(measured["dead"]) < seconds + 1
    assert max(measured["silent"]) < 2 * seconds + 1


@pytest.mark.whole  # test_lvsd_kills.py does it at random moments in every run
def test_killed_again_and_again_under_traffic_the_table_is_never_emptied(
    lvsd: Lvsd, tmp_path: Path
) -> None:
    with client(tmp_path, STANDSTILL) as result, Sampler() as sampler:
        time.sleep(0.5)
        for pause in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5):
            lvsd.kill()
            time.sleep(0.05)
            lvsd.start()
            time.sleep(pause)
    assert all({ONE, TWO} <= now for _unused, now in sampler.samples)
    assert len(sampler.samples) > 100
    figures = result["summary"]
    assert figures["failed"] == 0, figures
    assert figures["requests"] > 50
    assert set(figures["servers"]) == {"one", "two"}
    assert table() == BOTH


def test_stopped_the_table_stays(lvsd: Lvsd) -> None:
    assert lvsd.stop() == 0
    assert table() == BOTH
    assert lvsd.texts("DOWN") == []
    lvsd.start()


def test_a_dead_server_stays_out_over_a_restart(lvsd: Lvsd, webs: dict[str, Web]) -> None:
    webs["two"].stop()
    until({"21": 1})
    lvsd.kill()
    with Sampler() as sampler:
        lvsd.start()
        time.sleep(3)
    webs["two"].start()
    assert all(TWO not in now and ONE in now for _unused, now in sampler.samples)
    until(BOTH)


def test_reload_touches_only_what_changed(lvsd: Lvsd, config: Path) -> None:
    with Sampler() as sampler:
        write(config, weight=9)
        assert lvsd.ask("reload")["ok"]
        assert table() == {"21": 9, "22": 1}
        write(config, weight=9, extra="persistent = 60")
        assert lvsd.ask("reload")["ok"]
        assert "-p 60" in sh("ipvsadm", "-Sn")
        config.write_text(config.read_text().replace("scheduler = rr", "schedule = rr"))
        answer = lvsd.ask("reload")
        assert not answer["ok"]
        assert "did you mean `scheduler`" in answer["error"]
        assert table() == {"21": 9, "22": 1}
    assert all({ONE, TWO} <= now for _unused, now in sampler.samples)


def test_a_virtual_service_comes_and_goes_with_the_file(lvsd: Lvsd, config: Path) -> None:
    text = config.read_text()
    block = text[text.index("virtual") :].replace("virtual web", "virtual more")
    config.write_text(text + block.replace("port = 80", "port = 81", 1))
    with Sampler() as sampler:
        assert lvsd.ask("reload")["ok"]
        deadline = time.monotonic() + 10
        while table(f"{VIP}:81") is None and time.monotonic() < deadline:
            time.sleep(0.05)
        lvsd.kill()
        config.write_text(text)
        lvsd.start()
        while table(f"{VIP}:81") is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert table(f"{VIP}:81") is None
    assert all({ONE, TWO} <= now for _unused, now in sampler.samples)


def test_what_others_do_to_our_services_is_put_right(lvsd: Lvsd) -> None:
    service = ("-t", f"{VIP}:80", "-r")
    sh("ipvsadm", "-d", *service, "192.0.2.22:80")
    sh("ipvsadm", "-e", *service, "192.0.2.21:80", "-m", "-w", "77")
    sh("ipvsadm", "-a", *service, "192.0.2.77:80", "-m")
    until(BOTH, 8)
    told = " ".join(lvsd.texts("somebody else"))
    for words in ("add server 192.0.2.22:80", "edit server 192.0.2.21:80"):
        assert f"{words} of tcp {VIP}:80" in told
    assert f"delete server 192.0.2.77:80 of tcp {VIP}:80" in told


def test_drained_under_traffic_what_is_open_lives_on_and_what_is_new_goes_elsewhere(
    lvsd: Lvsd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = Held()
    name = held.server()
    number = SERVERS[name].rpartition(".")[2]
    (other,) = SERVERS.keys() - {name}
    began = time.monotonic()
    answer = lvsd.ask("override", server=name, mode="drained", reason="disk", by="anna")
    took = time.monotonic() - began
    assert answer["result"]["changed"], answer
    wanted = {**BOTH, number: 0}
    assert table() == wanted
    with capsys.disabled():
        print(f"\ndrained in {took * 1000:.0f} ms")
    with client(tmp_path, STANDSTILL) as result:
        time.sleep(0.5)
        lvsd.kill()
        lvsd.start()
        time.sleep(2)
        assert table() == wanted
    assert result["summary"]["failed"] == 0, result["summary"]
    assert set(result["summary"]["servers"]) == {other}
    assert lvsd.ask("servers", server=name)["result"]["left"] == {"active": 1}
    shown = lvsd.servers()
    assert (shown[name]["state"], shown[other]["state"]) == ("DRAIN", "UP")
    assert shown[name]["reason"].startswith("drained by anna (disk); ")
    assert shown[name]["load"]["active"] == 1
    assert shown[other]["load"]["connections"] > 0
    assert held.finish() == name
    deadline = time.monotonic() + 10
    while (
        left := lvsd.ask("servers", server=name)["result"]["left"]
    ) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == {}
    assert lvsd.ask("override", server=name, mode="enabled")["result"]["changed"]
    assert table() == BOTH
    with client(tmp_path) as result:
        pass
    assert set(result["summary"]["servers"]) == {name, other}


def test_disabled_it_stays_out_over_kills_and_a_cleared_table(
    lvsd: Lvsd, webs: dict[str, Web]
) -> None:
    assert lvsd.ask("override", server="two", virtual="web", mode="disabled")["ok"]
    assert table() == {"21": 1}
    with Sampler() as sampler:
        for pause in (0.0, 0.1, 0.5, 1.5):
            lvsd.kill()
            lvsd.start()
            time.sleep(pause)
        # Clearing is like a reboot: nothing in the kernel says what was ordered.
        sh("ipvsadm", "-C")
        lvsd.kill()
        lvsd.start()
        until({"21": 1})
        time.sleep(1.5)
    foreign_service()
    assert not any(TWO in now for _unused, now in sampler.samples)
    assert lvsd.servers()["two"]["state"] == "MAINT"
    assert lvsd.ask("override", server=SERVERS["two"], mode="enabled")["result"]["changed"]
    until(BOTH)


def test_cleared_under_traffic_it_is_repaired_and_counted(
    lvsd: Lvsd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = []
    with client(tmp_path) as result:
        for number in range(3):
            time.sleep(1 + 0.7 * number)
            began = time.monotonic()
            sh("ipvsadm", "-C")
            until(BOTH)
            times.append(time.monotonic() - began)
            foreign_service()
    with capsys.disabled():
        failed = result["summary"]["failed"]
        figures = ", ".join(f"{took:.2f}" for took in times)
        print(f"\nrepaired after (s): {figures}; {failed} requests failed meanwhile")
    assert max(times) < 5
    assert result["summary"]["requests"] > 50
    assert "add service" in lvsd.texts("somebody else")[0]
    time.sleep(1.5)
    assert lvsd.state()["table"]["drifts"] == len(times)


def test_quiesce_and_sorry_server(lvsd: Lvsd, config: Path, webs: dict[str, Web]) -> None:
    write(config, extra="quiesce_server = 1\n    sorry_server = 192.0.2.99")
    assert lvsd.ask("reload")["ok"]
    webs["two"].stop()
    until({"21": 1, "22": 0})
    webs["one"].stop()
    until({"21": 0, "22": 0, "99": 1})
    # A restart in the middle of it keeps all of that.
    lvsd.kill()
    lvsd.start()
    time.sleep(1.5)
    assert table() == {"21": 0, "22": 0, "99": 1}
    # Whoever would rather not believe the checks then keeps both with their weights.
    write(config, extra="quorum = 2\n    fail_open = 1")
    assert lvsd.ask("reload")["ok"]
    until(BOTH)
    assert {one["state"] for one in lvsd.servers().values()} == {"DOWN"}
    assert all("kept by fail_open" in one["reason"] for one in lvsd.servers().values())
    assert lvsd.texts("fail_open keeps those whose checks fail in service with their weights")
    for web in webs.values():
        web.start()
    deadline = time.monotonic() + 20
    while not lvsd.texts("has its quorum again"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert table() == BOTH


def test_weight_0_drains(lvsd: Lvsd, config: Path) -> None:
    write(config, weight=0)
    assert lvsd.ask("reload")["ok"]
    assert table() == {"21": 0, "22": 1}
    deadline = time.monotonic() + 5
    states = []
    while "DRAIN" not in states and time.monotonic() < deadline:
        states = [server["state"] for server in lvsd.servers().values()]
        time.sleep(0.05)
    assert states == ["DRAIN", "UP"]


def test_a_name_without_an_address_is_left_out_and_told_and_comes_with_it(
    lvsd: Lvsd, config: Path
) -> None:
    text = config.read_text()
    config.write_text(text.replace("address = 192.0.2.22", "address = no-such-host.invalid"))
    assert lvsd.ask("reload", 60)["ok"]
    until({"21": 1})
    deadline = time.monotonic() + 10
    while not lvsd.texts("the name no-such-host.invalid in lvs.cf cannot be resolved"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert lvsd.texts("DOWN") == []
    config.write_text(text)
    assert lvsd.ask("reload", 60)["ok"]
    until(BOTH, 8)
