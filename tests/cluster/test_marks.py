# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service of several ports under traffic: one client, one server, whatever port it asks.

The kernel of these tests has no nftables for IP (tests/checks has one that does), so that lvsd has
to find that out and mark by iptables-legacy. What it did is read by ipvsadm and by iptables.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from piranha.core.lvs_cf.marks import own_mark

from tests.cluster.lvsd_lab import CLIENT, STANDSTILL, VIP, Lvsd, Web, client, networks, sh, table

MARK = own_mark(VIP, "tcp", [80])
ALL = {"21": 1, "22": 1}
CLIENTS = [f"203.0.113.{number}" for number in range(11, 17)]
HOOK = "-A PREROUTING -j PIRANHA_MARKS"
THEIRS = "-A PREROUTING -s 198.51.100.0/24 -j MARK --set-xmark 0x1/0xffffffff"

ASK = """\
import json, socket, sys
found = {}
for source in sys.argv[2:]:
    for port in (80, 443, 80, 443):
        sock = socket.create_connection((sys.argv[1], port), 10, (source, 0))
        sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        found.setdefault(source, []).append(sock.makefile().read().split()[-1])
print(json.dumps(found))
"""


def ask() -> dict[str, list[str]]:
    """Which server answers each client at ports 80, 443, 80 and 443."""
    words = ("ip", "netns", "exec", CLIENT, sys.executable, "-c", ASK, VIP)
    found: dict[str, list[str]] = json.loads(sh(*words, *CLIENTS))
    return found


def rules(port_order: tuple[int, ...] = (80, 443)) -> list[str]:
    """Our rules as iptables shows them."""
    target = f"-j MARK --set-xmark {MARK:#x}/0xffffffff"
    match = f"-d {VIP}/32 -p tcp -m tcp --dport"
    return [f"-A PIRANHA_MARKS {match} {port} {target}" for port in port_order]


def marking() -> list[str]:
    """What there is in the table mangle beside its policies."""
    lines = sh("iptables-legacy", "-w", "-t", "mangle", "-S").splitlines()
    return [line for line in lines if not line.startswith("-P ")]


def until(wanted: Callable[[], bool], limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while not wanted():
        assert time.monotonic() < deadline, (marking(), sh("ipvsadm", "-Sn"))
        time.sleep(0.05)


def service() -> dict[str, int] | None:
    return table(str(MARK))


def write(path: Path, lines: str) -> None:
    path.write_text(
        f"""\
service = lvs
primary = 203.0.113.1
network = nat
nat_router = 192.0.2.254 inside:1
virtual shop {{
    active = 1
    address = {VIP} outside:1
    {lines}
    scheduler = rr
    timeout = 1
    reentry = 1
    server one {{
        address = 192.0.2.21
        active = 1
    }}
    server two {{
        address = 192.0.2.22
        active = 1
    }}
}}
"""
    )


SHOP = "ports = 80, 443\n    persistent = 300"


@pytest.fixture(scope="module")
def webs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Web]]:
    with networks():
        for address in CLIENTS:
            sh("ip", "-n", CLIENT, "addr", "add", f"{address}/24", "dev", "eth0")
        made = [
            Web(name, tmp_path_factory.mktemp("web"), port)
            for name in ("one", "two")
            for port in (80, 443)
        ]
        for web in made:
            web.start()
        yield made
        for web in made:
            web.stop()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "lvs.cf"
    write(path, SHOP)
    return path


@pytest.fixture
def lvsd(webs: list[Web], config: Path, tmp_path: Path) -> Iterator[Lvsd]:
    """lvsd, beside a rule of somebody else in the same table of the firewall."""
    sh("ipvsadm", "-C")
    for words in ("-F", "-X", THEIRS):
        sh("iptables-legacy", "-t", "mangle", *words.split())
    made = Lvsd(config, tmp_path)
    try:
        until(lambda: service() == ALL and HOOK in marking())
        yield made
        assert THEIRS in marking()
    finally:
        assert made.stop() == 0


def test_a_client_stays_on_one_server_for_all_ports(lvsd: Lvsd) -> None:
    assert marking() == ["-N PIRANHA_MARKS", THEIRS, HOOK, *rules()]
    assert f"-A -f {MARK} -s rr -p 300" in sh("ipvsadm", "-Sn")
    found = ask()
    assert all(len(set(servers)) == 1 for servers in found.values()), found
    assert {servers[0] for servers in found.values()} == {"one", "two"}
    # The same once more, since it is persistence and no luck.
    assert ask() == found
    until(lambda: lvsd.state()["marking"] is not None)
    assert lvsd.state()["marking"] == {
        "ok": True,
        "error": None,
        "by": "iptables-legacy",
        "rules": 2,
        "repairs": 0,
    }
    assert lvsd.texts("marked by") == ["packets are marked by iptables-legacy: 2 rules"]


def test_a_dead_server_leaves_both_ports(lvsd: Lvsd, webs: list[Web], tmp_path: Path) -> None:
    """With expire_quiescent_template and expire_nodest_conn, as the role sets them."""
    for name in ("expire_nodest_conn", "expire_quiescent_template"):
        Path(f"/proc/sys/net/ipv4/vs/{name}").write_text("1")
    before = ask()
    assert {servers[0] for servers in before.values()} == {"one", "two"}
    two = [web for web in webs if web.name == "two"]
    for web in two:
        web.stop()
    until(lambda: service() == {"21": 1})
    assert {server for servers in ask().values() for server in servers} == {"one"}
    for web in two:
        web.start()
    until(lambda: service() == ALL)


CHANGES = ("-F", "-F PIRANHA_MARKS", "-D PREROUTING -j PIRANHA_MARKS", "-D PIRANHA_MARKS 1")


def test_rules_that_somebody_removes_under_traffic_come_back(
    lvsd: Lvsd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = ["-N PIRANHA_MARKS", THEIRS, HOOK, *rules()]
    times = []
    with client(tmp_path) as result:
        for number, change in enumerate(CHANGES, 1):
            time.sleep(1)
            began = time.monotonic()
            sh("iptables-legacy", "-w", "-t", "mangle", *change.split())
            if change == "-F":
                sh("iptables-legacy", "-w", "-t", "mangle", *THEIRS.split())
            until(lambda: sorted(marking()) == sorted(whole))
            times.append(time.monotonic() - began)
            until(lambda n=number: len(lvsd.texts("somebody else")) == n)  # type: ignore[misc]
    with capsys.disabled():
        figures = ", ".join(f"{took:.2f}" for took in times)
        print(f"\nrules back after (s): {figures}; {result['summary']['failed']} requests failed")
    assert max(times) < 10  # three programs, each some half a second in this kernel
    for told in lvsd.texts("somebody else"):
        assert told.startswith("the marking rules were changed by somebody else")
    # They were served again each time, by the server that the client had.
    assert len(set(result["summary"]["servers"])) == 1
    assert result["requests"][-1]["error"] is None


def test_plain_services_become_one_with_a_mark_and_only_what_is_under_way_ends(
    lvsd: Lvsd, config: Path, tmp_path: Path
) -> None:
    """The kernel cannot move a connection to another service; whatever begins later is served."""
    write(config, "ports = 80, 443")
    assert lvsd.ask("reload")["ok"]
    until(lambda: table(f"{VIP}:80") == table(f"{VIP}:443") == ALL and service() is None)
    until(lambda: marking() == [THEIRS])
    with client(tmp_path) as result:
        time.sleep(2)
        write(config, SHOP)
        assert lvsd.ask("reload")["ok"]
        until(lambda: service() == ALL and table(f"{VIP}:80") is None)
        changed = time.time()
        assert marking() == ["-N PIRANHA_MARKS", THEIRS, HOOK, *rules()]
    failed = [one for one in result["requests"] if one["error"]]
    assert [one for one in failed if one["start"] > changed] == []
    assert len(failed) <= 5, failed
    assert result["summary"]["requests"] > 30


def test_a_port_more_changes_the_rules_alone(lvsd: Lvsd, config: Path) -> None:
    before = sh("ipvsadm", "-Sn")
    write(config, SHOP.replace("443", "443, 8080"))
    assert lvsd.ask("reload")["ok"]
    until(lambda: marking()[3:] == rules((80, 443, 8080)))
    assert sh("ipvsadm", "-Sn") == before


def test_a_service_that_leaves_the_file_takes_its_rules_along(lvsd: Lvsd, config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace("active = 1", "active = 0", 1))
    assert lvsd.ask("reload")["ok"]
    until(lambda: marking() == [THEIRS])
    assert service() is None
    config.write_text(text)
    assert lvsd.ask("reload")["ok"]
    until(lambda: service() == ALL)


def test_killed_and_stopped_the_rules_stay(lvsd: Lvsd, tmp_path: Path) -> None:
    whole = marking()
    with client(tmp_path, STANDSTILL) as result:
        for pause in (0.0, 0.1, 0.5, 1.5):
            lvsd.kill()
            assert marking() == whole
            lvsd.start()
            time.sleep(pause)
        assert lvsd.stop() == 0
        assert marking() == whole
        lvsd.start()
    assert result["summary"]["failed"] == 0, result["summary"]
    assert marking() == whole
    assert lvsd.texts("somebody else") == []


def test_a_written_mark_is_marked_where_that_is_asked_for(lvsd: Lvsd, config: Path) -> None:
    write(config, "ports = 80, 443\n    fwmark = 7\n    persistent = 300\n    marking = auto")
    assert lvsd.ask("reload")["ok"]
    until(lambda: table("7") == ALL and service() is None)
    until(lambda: [line.split()[-1] for line in marking()[3:]] == ["0x7/0xffffffff"] * 2)
    assert all(len(set(servers)) == 1 for servers in ask().values())
    write(config, "ports = 80, 443\n    fwmark = 7\n    persistent = 300")
    assert lvsd.ask("reload")["ok"]
    until(lambda: marking() == [THEIRS])
    assert table("7") == ALL


def test_packets_of_ipv6_have_rules_of_their_own(lvsd: Lvsd, config: Path) -> None:
    text = config.read_text()
    block = text[text.index("virtual") :].replace("virtual shop", "virtual six")
    block = block.replace(VIP, "2001:db8::100").replace("192.0.2.", "2001:db8:1::")
    config.write_text(text + block)
    assert lvsd.ask("reload")["ok"]
    mark = own_mark("2001:db8::100", "tcp", [80])

    def six() -> list[str]:
        listing = sh("ip6tables-legacy", "-w", "-t", "mangle", "-S").splitlines()
        return [line for line in listing if not line.startswith("-P ")]

    match = "-A PIRANHA_MARKS -d 2001:db8::100/128 -p tcp -m tcp --dport"
    wanted = [f"{match} {port} -j MARK --set-xmark {mark:#x}/0xffffffff" for port in (80, 443)]
    until(lambda: six() == ["-N PIRANHA_MARKS", HOOK, *wanted])
    until(lambda: f"-A -f {mark} -6" in sh("ipvsadm", "-Sn"))  # the rules come first
    config.write_text(text)
    assert lvsd.ask("reload")["ok"]
    until(lambda: six() == [])
    assert marking()[3:] == rules()


def test_this_kernel_has_no_nftables_for_ip() -> None:
    """Else these tests would not show what they are to show."""
    done = subprocess.run(
        ["nft", "add", "table", "inet", "probe"], capture_output=True, timeout=30, check=False
    )
    assert done.returncode != 0
