# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two routers of which one has another key, version or file: what each is, and what it says of it.

Whole agents, without IPVS.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from piranha.control import metrics

from tests.cluster.heart_lab import PUBLIC, Net, network
from tests.cluster.takeover_lab import Agent, Switch, until

INTERVAL = 0.5
PATCH = """\
from piranha.pulse import wire
wire.VERSION += 1
"""
"""What makes of an agent one of a later version; Python runs it at its start."""


class Patched(Agent):
    """An agent of which the next version is run."""

    def env(self) -> dict[str, str]:
        env = super().env()
        (self.folder / "sitecustomize.py").write_text(PATCH, encoding="utf-8")
        return {**env, "PYTHONPATH": f"{env['PYTHONPATH']}:{self.folder}"}


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with network() as made:
        yield made


@pytest.fixture
def switch(net: Net) -> Iterator[Switch]:
    yield Switch(net)
    net.mend()


def started(first: Agent, second: Agent) -> tuple[Agent, Agent]:
    for router in (first, second):
        router.configure(INTERVAL, 1)
    return first, second


def shown(router: Agent) -> tuple[int, str]:
    """Give exit status and output of `piranha status`."""
    argv = [sys.executable, "-m", "piranha", "status", "--run-dir", str(router.folder / "run")]
    done = subprocess.run(
        argv, env=router.env(), check=False, capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stdout


def says(router: Agent, sentence: str) -> None:
    """Wait until its status says so as a problem, and the log has it once."""

    def told() -> bool:
        status, text = shown(router)
        lines = [line for line in text.splitlines() if line.startswith("! ")]
        return status == 1 and any(sentence in line for line in lines)

    until(told, f"{router.namespace} says: {sentence}")
    assert router.log_end().count(sentence) == 1


def test_another_key(net: Net, switch: Switch, tmp_path: Path) -> None:
    one, two = started(Agent(net, switch, 0, tmp_path), Agent(net, switch, 1, tmp_path))
    other = tmp_path / "other.key"
    other.touch(mode=0o600)
    other.write_text(os.urandom(32).hex() + "\n", encoding="ascii")
    config = two.folder / "lvs.cf"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("heartbeat.key", "other.key"), encoding="utf-8")
    try:
        for router in (one, two):
            router.start()
        for router, partner in ((one, PUBLIC[1]), (two, PUBLIC[0])):
            says(router, f"heartbeats from {partner} carry another key")
            assert router.holds(), "as if alone: it cannot know who that is"
            state = router.ask("status")["heart"]
            assert (state["state"], state["peer"]["state"]) == ("active", "down")
    finally:
        for router in (one, two):
            router.end()


def test_another_version(net: Net, switch: Switch, tmp_path: Path) -> None:
    one, two = started(Agent(net, switch, 0, tmp_path), Patched(net, switch, 1, tmp_path))
    try:
        for router in (one, two):
            router.start()
        says(one, f"heartbeats from {PUBLIC[1]} are of another version")
        says(two, f"heartbeats from {PUBLIC[0]} are of another version")
        for router in (one, two):
            state = router.ask("status")["heart"]
            assert state["peer"]["state"] == "down"
            assert state["rejected"]["version"] > 0
            assert router.holds(), "as if alone: it understands nothing of what it hears"
    finally:
        for router in (one, two):
            router.end()


def test_another_file(net: Net, switch: Switch, tmp_path: Path) -> None:
    one, two = started(Agent(net, switch, 0, tmp_path), Agent(net, switch, 1, tmp_path))
    config = two.folder / "lvs.cf"
    text = config.read_text(encoding="utf-8")
    config.write_text(text + "tcp_timeout = 900\n", encoding="utf-8")
    try:
        one.start()
        until(one.holds, "the primary is active")
        two.start()
        says(one, f"lvs.cf here and on {PUBLIC[1]} differ")
        says(two, f"lvs.cf here and on {PUBLIC[0]} differ")
        until(lambda: one.ready(True) and two.ready(False), "they serve all the same")
        page = metrics.render(one.ask("status"))
        assert "piranha_partner_same_configuration 0" in page.splitlines()
        config.write_text(text, encoding="utf-8")
        two.ask("reload")
        until(lambda: "differ" not in shown(one)[1] + shown(two)[1], "the difference is gone")
        page = metrics.render(one.ask("status"))
        assert "piranha_partner_same_configuration 1" in page.splitlines()
    finally:
        for router in (one, two):
            router.end()
