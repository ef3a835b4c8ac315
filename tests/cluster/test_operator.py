# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders by command line to whole agents on two routers, over restarts and a takeover."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.cluster.cluster import DEADTIME, SERVERS, Cluster, Router, run, soon
from tests.cluster.traffic import summary


def piranha(router: Router, *words: str, check: bool = True) -> str:
    argv = [sys.executable, "-m", "piranha", *words, "--run-dir", str(router.run_dir)]
    return run(*argv, env=router.environment(), check=check)


def weight(router: Router, server: str) -> str | None:
    """The weight in the kernel's table, as ipvsadm shows it."""
    lines = [line.split() for line in router.table().splitlines() if SERVERS[server] in line]
    return lines[0][3] if lines else None


def test_an_order_outlives_the_agent_and_holds_after_a_takeover(
    cluster: Cluster, r1: Router, r2: Router
) -> None:
    try:
        for router in (r1, r2):
            told = piranha(router, "drain", SERVERS["rs1"], "-r", "new disk", "--by", "anna")
            assert "is drained with weight 1 (was enabled with weight 1)" in told
            assert weight(router, "rs1") == "0"
        with cluster.traffic() as requests:
            time.sleep(1)
            assert r1.stop() == 0
            soon(lambda: r2.state() == "active", "r2 is active", DEADTIME * 10)
            time.sleep(1)
            r1.start()
            soon(lambda: weight(r1, "rs1") == "0", "r1 has the order again")
            time.sleep(2)
        figures = summary(requests)
        assert set(figures.servers) == {"rs2"}, figures
        assert figures.failed == 0, figures
        shown = r1.shown()
        assert "DRAIN" in shown
        assert "drained by anna (new disk)" in shown
        metrics = piranha(r1, "metrics")
        assert "piranha_orders 1" in metrics.splitlines()
        (line,) = [one for one in metrics.splitlines() if 'state="DRAIN"} 1' in one]
        assert SERVERS["rs1"] in line
        kept = json.loads((Path(r1.run_dir) / "overrides.json").read_text())
        assert [(one["by"], one["reason"]) for one in kept["modes"]] == [("anna", "new disk")]
    finally:
        for router in (r1, r2):
            piranha(router, "enable", SERVERS["rs1"], check=False)
    soon(lambda: weight(r1, "rs1") == "1", "it serves again")
    assert json.loads((r1.run_dir / "overrides.json").read_text()) == {"modes": [], "weights": []}
    again = piranha(r1, "weight", SERVERS["rs1"], "7")
    assert weight(r1, "rs1") == "7", again
    piranha(r1, "weight", SERVERS["rs1"], "configured")
    assert weight(r1, "rs1") == "1"
