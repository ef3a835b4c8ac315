# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd killed at random moments under traffic: nothing fails, nothing is emptied or forgotten.

How often is set by PIRANHA_LVSD_KILLS; `make patience` kills a hundred times, the cluster layer a
share of that. Moments are drawn from a seed that is printed: in the middle of a start, of a check,
of an order, of a reload. The table is read by ipvsadm and in the kernel's own words. That the test
can fail is shown by faults planted in lvsd.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from piranha.lvsd.daemon import Daemon
from piranha.lvsd.health import Health
from piranha.lvsd.kept import Kept
from piranha.lvsd.overrides import Rules

from tests.cluster.lvsd_lab import (
    STANDSTILL,
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
from tests.cluster.test_lvsd import BOTH, write

KILLS = int(os.environ.get("PIRANHA_LVSD_KILLS", "10"))
LONGEST = 2.5  # seconds that lvsd lives before it is killed: a start, and two rounds of checks
WEIGHTS = {"21": 5, "22": 1}


@pytest.fixture(scope="module")
def webs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Web]]:
    with networks():
        made = {name: Web(name, tmp_path_factory.mktemp("web")) for name in ("one", "two")}
        for web in made.values():
            web.start()
        yield made
        for web in made.values():
            web.stop()


@pytest.mark.usefixtures("webs")
def test_killed_at_random_moments_under_traffic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("PIRANHA_SEED", str(random.randrange(1_000_000))))
    with capsys.disabled():
        print(f"\n{KILLS} kills, PIRANHA_SEED={seed}", flush=True)
    figures = killed(KILLS, seed, tmp_path)
    with capsys.disabled():
        print(f"{figures['requests']} requests, {figures['failed']} failed", flush=True)


def killed(kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """Kill lvsd that often and see that all is well; gives the figures of the traffic."""
    dice = random.Random(seed)
    sh("ipvsadm", "-C")
    config = folder / "lvs.cf"
    write(config)
    lvsd = Lvsd(config, folder)
    try:
        until(BOTH)
        # An order that must outlive all of it; another is given and taken back in between.
        assert lvsd.ask("override", server="one", weight=5, by="anna")["ok"]
        until(WEIGHTS)
        pauses = [dice.uniform(0, LONGEST) for _unused in range(kills)]
        with client(folder, STANDSTILL) as result, Sampler() as sampler:
            for number, pause in enumerate(pauses):
                busy(lvsd, config, number, dice)
                time.sleep(pause)
                lvsd.kill()
                lvsd.start()
        until(WEIGHTS)
        assert lvsd.servers()["one"]["override"]["by"] == "anna"
    finally:
        lvsd.stop()
    kept = {hexadecimal("one"), hexadecimal("two")}
    thin = [now for _at, now in sampler.samples if not kept <= now]
    assert thin == []
    assert len(sampler.samples) > 10 * kills
    figures: dict[str, Any] = result["summary"]
    assert figures["failed"] == 0, figures
    assert figures["requests"] > 5 * kills
    assert table() == WEIGHTS
    return figures


def emptied(daemon: Daemon) -> None:
    """As lvsd of old began."""
    sh("ipvsadm", "-C")
    daemon._load()


FAULTS: dict[str, tuple[type, str, Callable[..., object], str]] = {
    "the table is emptied at a start": (Daemon, "start", emptied, r"frozenset|the table has"),
    "orders are forgotten": (Kept, "load", lambda _kept: Rules(), "the table has"),
    "what is in the table does not count": (Health, "adopt", lambda *_unused: None, "frozenset"),
}
"""What is planted -> where, in place of what, and what must be said then."""


@pytest.mark.whole
@pytest.mark.usefixtures("webs")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, instead, said = FAULTS[fault]
    monkeypatch.setattr(owner, name, instead)
    with pytest.raises(AssertionError, match=said):
        killed(3, 7, tmp_path)


def busy(lvsd: Lvsd, config: Path, number: int, dice: random.Random) -> None:
    """Give it something to be killed in the middle of, without waiting for an answer."""
    kind = dice.choice(("nothing", "order", "reload"))
    if kind == "order":
        weight = {"mode": "enabled"} if number % 2 else {"weight": 1}
        lvsd.send("override", server="two", by="bert", **weight)
    elif kind == "reload":
        write(config, timeout=dice.choice(("1", "0.5")))
        lvsd.send("reload")
