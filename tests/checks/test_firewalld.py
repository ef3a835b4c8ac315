# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router's openings in a real firewalld, in namespaces of the test: network, mounts, processes.

firewalld and a bus of its own run in there, with a copy of /etc/firewalld; this machine's are not
touched. The policies are read back with firewall-cmd(1) and nft(8), and packets are sent through.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = ROOT / "roles/piranha_router/files"
CLIENT = "piranha-test-fd"
VIRTUAL = "203.0.113.100"
# Runs as process 1 of the namespaces, so that all ends with it.
KEEPER = """
set -eu
mount --bind "$1/etc" /etc/firewalld
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus
ip link set lo up
dbus-daemon --system --nofork --nopidfile >"$1/bus" 2>&1 &
firewalld --nofork --nopid --log-target=console >"$1/firewalld" 2>&1 &
exec sleep 300
"""
# A packet in the middle of a connection of which tracking has seen nothing, as of all through IPVS.
FIN = """
import socket, struct, sys
source, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
head = struct.pack("!HHIIBBHHH", 40000, port, 1, 1, 5 << 4, 0x11, 1024, 0, 0)
ends = socket.inet_aton(source) + socket.inet_aton(target)
pseudo = ends + struct.pack("!BBH", 0, 6, len(head)) + head
total = sum(struct.unpack("!16H", pseudo))
while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
head = head[:16] + struct.pack("!H", ~total & 0xFFFF) + head[18:]
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as s:
    s.sendto(head, (target, 0))
"""
KNOCK = """
import socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
with socket.socket(socket.AF_INET, kind) as s:
    s.settimeout(1)
    s.connect((sys.argv[2], int(sys.argv[3])))
    s.send(b"x")
"""

pytestmark = pytest.mark.whole


def sh(*words: str, text: str = "", good: bool = True) -> str:
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 or not good, (words, done.stdout, done.stderr)
    return done.stdout if good else done.stdout + done.stderr


def opening(port: int, protocol: str = "tcp", hook: str = "input", **more: Any) -> dict[str, Any]:
    whole = {"hook": hook, "why": "", "protocol": protocol, "from": [], "to": None, "port": port}
    return {**whole, **more}


WEB = opening(80, to=VIRTUAL)
HEART = opening(539, "udp", **{"from": ["203.0.113.12", "2001:db8::12"]})
ANSWERS = opening(80, hook="forward", **{"from": ["192.0.2.21"]})


class Router:
    """The namespaces in which firewalld runs."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.enter = ["nsenter", f"--target={pid}", "--mount", "--net", "--pid"]
        self.folder = folder

    def run(self, *words: str, **more: Any) -> str:
        return sh(*self.enter, *words, **more)

    def helper(self, command: str, *openings: Any, masquerade: tuple[str, ...] = ()) -> Any:
        plan = {"openings": list(openings), "masquerade": list(masquerade)}
        wanted = [] if command == "remove" else ["--wanted", json.dumps(plan)]
        program = (FILES / "piranha_firewalld.py").read_text()
        return json.loads(self.run(sys.executable, "-I", "-", command, *wanted, text=program))

    def now(self, policy: str) -> list[str]:
        return sorted(
            self.run("firewall-cmd", f"--policy={policy}", "--list-rich-rules").split("\n")
        )

    def later(self, policy: str) -> list[str]:
        words = ["firewall-cmd", "--permanent", f"--policy={policy}", "--list-rich-rules"]
        return sorted(self.run(*words).split("\n"))

    def nft(self, text: str) -> None:
        self.run("nft", "-f", "-", text=text)

    def came_through(self, port: int, protocol: str, *words: str) -> bool:
        """Whether a packet from the client passes: a counter behind firewalld's rules tells."""
        self.nft(
            "add table inet watch;"
            "add chain inet watch seen { type filter hook input priority 20; };"
            f"add rule inet watch seen {protocol} dport {port} counter"
        )
        sh("ip", "netns", "exec", CLIENT, sys.executable, "-c", *words, good=False)
        rows = json.loads(self.run("nft", "-j", "list", "table", "inet", "watch"))["nftables"]
        self.nft("delete table inet watch")
        return any(
            part["counter"]["packets"] > 0
            for row in rows
            if "rule" in row
            for part in row["rule"]["expr"]
            if "counter" in part
        )

    def knock(self, protocol: str, port: int) -> bool:
        return self.came_through(port, protocol, KNOCK, protocol, VIRTUAL, str(port))

    def fin(self, port: int) -> bool:
        return self.came_through(port, "tcp", FIN, "203.0.113.31", VIRTUAL, str(port))


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    sh("cp", "--recursive", "/etc/firewalld", str(tmp_path / "etc"))
    for path in (tmp_path / "etc/policies").glob("*"):
        path.unlink()
    (tmp_path / "etc/policies").mkdir(exist_ok=True)
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    words = [*unshare, "--propagation=private", "bash", "-c", KEEPER, "keeper", str(tmp_path)]
    sh("ip", "netns", "add", CLIENT)
    keeper = subprocess.Popen(words, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children")
        end = time.monotonic() + 30
        while not children.read_text().split():
            assert time.monotonic() < end, "unshare started nothing"
            time.sleep(0.05)
        made = Router(int(children.read_text().split()[0]), tmp_path)
        while made.run("firewall-cmd", "--state", good=False).strip() != "running":
            assert time.monotonic() < end, (tmp_path / "firewalld").read_text()
            time.sleep(0.2)
        peer = made.enter[1].removeprefix("--target=")
        sh(
            "ip",
            "-n",
            CLIENT,
            "link",
            "add",
            "eth1",
            "type",
            "veth",
            "peer",
            "name",
            "eth1",
            "netns",
            peer,
        )
        for address in ("203.0.113.31/24", "203.0.113.12/24"):
            sh("ip", "-n", CLIENT, "address", "add", address, "dev", "eth1")
        sh("ip", "-n", CLIENT, "link", "set", "eth1", "up")
        made.run("ip", "address", "add", f"{VIRTUAL}/24", "dev", "eth1")
        made.run("ip", "link", "set", "eth1", "up")
        yield made
    finally:
        keeper.kill()
        keeper.wait()
        sh("ip", "netns", "delete", CLIENT)


def test_the_openings_are_there_now_and_later_and_nothing_is_left_of_them(router: Router) -> None:
    before = router.run("nft", "list", "ruleset")
    files = sorted((router.folder / "etc").iterdir())
    assert not router.knock("tcp", 80)
    assert not router.helper("look", WEB, HEART, ANSWERS)["right"]
    assert router.run("nft", "list", "ruleset") == before, "a look changes nothing"

    router.helper("apply", WEB, HEART, ANSWERS, masquerade=("192.0.2.0/24", "2001:db8:2::/64"))
    assert router.knock("tcp", 80)
    assert not router.knock("tcp", 81)
    assert not router.knock("udp", 539), "the client is .31 first, not the other router"
    for policy, rules in (("piranha-input", 3), ("piranha-forward", 5)):
        assert router.now(policy) == router.later(policy)
        assert len([rule for rule in router.now(policy) if rule]) == rules
    ruleset = router.run("nft", "list", "ruleset")
    assert "ip daddr != 192.0.2.0/24 ip saddr 192.0.2.0/24" in ruleset
    assert "masquerade" in ruleset

    # Half a connection: firewalld drops it, until it is kept out of tracking.
    assert not router.fin(80)
    beside = {
        "chains": {"input": "inet filter input", "forward": "inet filter forward"},
        "openings": [],
        "masquerade": [],
        "untracked": [WEB, ANSWERS],
    }
    program = (FILES / "piranha_firewall.py").read_text()
    looked = json.loads(
        router.run(sys.executable, "-I", "-", "look", "--wanted", json.dumps(beside), text=program)
    )
    router.nft(looked["script"])
    assert router.fin(80)
    assert router.knock("tcp", 80)
    assert not router.knock("tcp", 81)

    # A restart of firewalld, as at boot, brings the same; and nothing of ours has to come again.
    router.run("firewall-cmd", "--reload")
    assert router.helper(
        "look", WEB, HEART, ANSWERS, masquerade=("192.0.2.0/24", "2001:db8:2::/64")
    )["right"]
    assert router.fin(80)
    router.nft("delete table inet piranha_router")

    assert router.helper("remove")["steps"]
    assert router.run("nft", "list", "ruleset") == before
    assert sorted((router.folder / "etc").iterdir()) == files
    assert list((router.folder / "etc/policies").iterdir()) == []


def test_a_change_of_rules_needs_no_reload_and_keeps_what_was_told_for_now_only(
    router: Router,
) -> None:
    router.helper("apply", WEB)
    router.run("firewall-cmd", "--add-port=22222/tcp")
    said = router.helper("apply", WEB, opening(443, to=VIRTUAL))["steps"]
    assert not any("--reload" in step for step in said)
    assert "22222/tcp" in router.run("firewall-cmd", "--list-ports")
    assert router.knock("tcp", 443)
    router.helper("apply", opening(443, to=VIRTUAL))
    assert not router.knock("tcp", 80)
    # firewalld sees after five seconds that a file of its has changed.
    end = time.monotonic() + 20
    while router.now("piranha-input") != router.later("piranha-input"):
        assert time.monotonic() < end, router.later("piranha-input")
        time.sleep(1)

    # Somebody takes a rule away for now, or for later: it is seen, and put right.
    rule = router.now("piranha-input")[-1]
    router.run("firewall-cmd", "--policy=piranha-input", f"--remove-rich-rule={rule}")
    assert not router.knock("tcp", 443)
    router.helper("apply", opening(443, to=VIRTUAL))
    assert router.knock("tcp", 443)
    router.run(
        "firewall-cmd", "--permanent", "--policy=piranha-input", f"--remove-rich-rule={rule}"
    )
    assert not router.helper("look", opening(443, to=VIRTUAL))["right"]


def test_without_a_running_firewalld_it_says_so() -> None:
    program = (FILES / "piranha_firewalld.py").read_text()
    words = ["look", "--wanted", json.dumps({"openings": [WEB], "masquerade": []})]
    said = sh(
        "unshare",
        "--net",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs tmpfs /run && exec "$@"',
        "sh",
        sys.executable,
        "-I",
        "-",
        *words,
        text=program,
        good=False,
    )
    assert said == (
        "firewalld: firewalld does not run; start it, or set piranha_router_firewall to what "
        "filters on this machine\n"
    )
