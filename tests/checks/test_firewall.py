# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router's openings in this machine's own nftables, in network namespaces of the test.

The administrator's chain drops everything; what comes through is tried with real packets, and what
stands in the chains is read with nft(8). A kernel with nftables for IP is needed, which user-mode
Linux is not; that is why these are not among tests/kernel.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HELPER = ROOT / "roles/piranha_router/files/piranha_firewall.py"
ROUTER, CLIENT = "piranha-test-fw", "piranha-test-fc"
RULES = """
table inet filter {
  chain input { type filter hook input priority filter; policy drop; tcp dport 22 accept; }
  chain forward { type filter hook forward priority filter; policy drop; }
}
"""
DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
import piranha_firewall as helper
helper.PLAN = sys.argv[2]
sys.argv[1:] = sys.argv[3:]
sys.exit(helper.main())
"""
KNOCK = """
import socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
with socket.socket(socket.AF_INET, kind) as s:
    s.settimeout(1)
    s.connect((sys.argv[2], int(sys.argv[3])))
    s.send(b"x")
"""


def opening(port: int, protocol: str = "tcp", hook: str = "input", **more: Any) -> dict[str, Any]:
    whole = {"hook": hook, "why": "", "protocol": protocol, "from": [], "to": None, "port": port}
    return {**whole, **more}


WEB = opening(80, to="203.0.113.100")
HEART = opening(539, "udp", **{"from": ["203.0.113.12", "2001:db8::12"]})
ANSWERS = opening(80, hook="forward", **{"from": ["192.0.2.21"]})


def sh(*words: str, text: str = "", good: bool = True) -> str:
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0 or not good, (words, done.stderr)
    return done.stdout + ("" if good else done.stderr)


class Firewall:
    """The router's namespace."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "firewall.json"

    def plan(self, *openings: Any, masquerade: tuple[str, ...] = ()) -> dict[str, Any]:
        chains = {"input": "inet filter input", "forward": "inet filter forward"}
        return {"chains": chains, "openings": list(openings), "masquerade": list(masquerade)}

    def helper(self, *words: str, good: bool = True) -> str:
        argv = [sys.executable, "-c", DRIVER, str(HELPER.parent), str(self.path), *words]
        return sh("ip", "netns", "exec", ROUTER, *argv, good=good)

    def apply(self, plan: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(plan))
        self.helper("apply")
        assert self.look(plan)["right"]

    def look(self, plan: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.helper("look", "--wanted", json.dumps(plan)))
        return found

    def ruleset(self) -> str:
        return sh("ip", "netns", "exec", ROUTER, "nft", "list", "ruleset")

    def nft(self, text: str) -> None:
        sh("ip", "netns", "exec", ROUTER, "nft", "-f", "-", text=text)

    def knock(self, protocol: str, address: str, port: int) -> bool:
        """Whether a packet from the client comes through: a counter behind the openings tells."""
        self.nft(f"add table inet watch; add chain inet watch seen {{ type filter hook input "
                 f"priority 10; }}; add rule inet watch seen {protocol} dport {port} counter")
        sh("ip", "netns", "exec", CLIENT, sys.executable, "-c", KNOCK, protocol, address, str(port),
           good=False)
        rows = json.loads(sh("ip", "netns", "exec", ROUTER, "nft", "-j", "list", "table", "inet",
                             "watch"))["nftables"]
        self.nft("delete table inet watch")
        counters = [part["counter"]["packets"] for row in rows if "rule" in row
                    for part in row["rule"]["expr"] if "counter" in part]
        return sum(counters) > 0


@pytest.fixture
def firewall(tmp_path: Path) -> Iterator[Firewall]:
    for name in (ROUTER, CLIENT):
        sh("ip", "netns", "add", name)
    try:
        sh("ip", "-n", ROUTER, "link", "add", "eth1", "type", "veth", "peer", "name", "eth1",
           "netns", CLIENT)
        for name, address in ((ROUTER, "203.0.113.100/24"), (CLIENT, "203.0.113.31/24")):
            sh("ip", "-n", name, "address", "add", address, "dev", "eth1")
            sh("ip", "-n", name, "link", "set", "eth1", "up")
        sh("ip", "-n", CLIENT, "address", "add", "203.0.113.12/24", "dev", "eth1")
        made = Firewall(tmp_path)
        made.nft(RULES)
        yield made
    finally:
        for name in (ROUTER, CLIENT):
            sh("ip", "netns", "delete", name)


def test_what_the_cluster_needs_comes_through_and_nothing_else(firewall: Firewall) -> None:
    assert not firewall.knock("tcp", "203.0.113.100", 80)
    firewall.apply(firewall.plan(WEB))
    assert firewall.knock("tcp", "203.0.113.100", 80)
    assert not firewall.knock("tcp", "203.0.113.100", 81)
    assert not firewall.knock("udp", "203.0.113.100", 539)


def test_a_heartbeat_comes_through_from_the_other_router_alone(firewall: Firewall) -> None:
    firewall.apply(firewall.plan(HEART))
    assert not firewall.knock("udp", "203.0.113.100", 539)  # from .31
    sh("ip", "-n", CLIENT, "address", "del", "203.0.113.31/24", "dev", "eth1")
    sh("ip", "-n", CLIENT, "address", "replace", "203.0.113.12/24", "dev", "eth1")
    assert firewall.knock("udp", "203.0.113.100", 539)


def test_nothing_is_left_and_nothing_of_others_is_touched(firewall: Firewall) -> None:
    before = firewall.ruleset()
    plan = firewall.plan(WEB, HEART, ANSWERS, masquerade=("192.0.2.0/24", "2001:db8:2::/64"))
    firewall.apply(plan)
    after = firewall.ruleset()
    assert "tcp dport 22 accept" in after
    assert after.count("comment \"piranha:") == 6  # HEART for each family, and both networks
    assert "ip saddr 192.0.2.0/24 ip daddr != 192.0.2.0/24 masquerade" in after
    firewall.helper("remove")
    assert firewall.ruleset() == before


def test_a_second_run_changes_nothing_and_a_changed_plan_replaces(firewall: Firewall) -> None:
    firewall.apply(firewall.plan(WEB, HEART))
    once = firewall.ruleset()
    firewall.apply(firewall.plan(WEB, HEART))
    assert firewall.ruleset() == once
    other = firewall.plan(opening(443, to="203.0.113.100"))
    assert not firewall.look(other)["right"]
    firewall.apply(other)
    assert "dport 80" not in firewall.ruleset()
    assert firewall.knock("tcp", "203.0.113.100", 443)


def test_rules_that_were_loaded_anew_get_the_openings_again(firewall: Firewall) -> None:
    firewall.apply(firewall.plan(WEB))
    firewall.nft("flush ruleset" + RULES)
    assert not firewall.look(firewall.plan(WEB))["right"]
    firewall.apply(firewall.plan(WEB))
    assert firewall.knock("tcp", "203.0.113.100", 80)


def test_without_the_chain_it_says_which_to_name(firewall: Firewall) -> None:
    firewall.nft("delete table inet filter")
    said = firewall.helper("look", "--wanted", json.dumps(firewall.plan(WEB)), good=False)
    assert said == (
        "piranha-firewall: there is no chain 'inet filter input' to open something in; name the "
        "one that filters input in piranha_router_firewall_chains\n"
    )
