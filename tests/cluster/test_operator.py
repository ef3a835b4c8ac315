# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders by command line to whole agents on two routers, over restarts and a takeover.

And by the original's signals, to a process that stands for one server.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from piranha.control.render import services

from tests.cluster.cluster import DEADTIME, SERVERS, Cluster, Router, run, soon
from tests.cluster.traffic import summary


def piranha(router: Router, *words: str, check: bool = True) -> str:
    argv = [sys.executable, "-m", "piranha", *words, "--run-dir", str(router.run_dir)]
    return run(*argv, env=router.environment(), check=check)


def weight(router: Router, server: str) -> str | None:
    """The weight in the kernel's table, as ipvsadm shows it."""
    lines = [line.split() for line in router.table().splitlines() if SERVERS[server] in line]
    return lines[0][3] if lines else None


def reason(router: Router) -> str:
    """Why the first real server has its state."""
    (web,) = services(router.status())
    return str(web["servers"][0]["reason"])


def test_the_signals_of_old_take_a_server_out_and_let_it_serve(
    cluster: Cluster, r1: Router
) -> None:
    argv = [sys.executable, "-m", "piranha", "nanny", "-f", "web/rs1", "--run-dir"]
    with subprocess.Popen(
        [*argv, str(r1.run_dir)], env=r1.environment(), stdout=subprocess.PIPE, text=True
    ) as nanny:
        assert nanny.stdout is not None
        told = nanny.stdout

        def until(part: str) -> None:
            """It tells something with these words."""
            assert any(part in line for line in iter(told.readline, "")), part

        try:
            until(f"rs1 {SERVERS['rs1']}:80  UP  weight 1")
            nanny.send_signal(signal.SIGUSR1)
            until("MAINT  weight - of 1  disabled by root (signal SIGUSR1 to nanny")
            assert weight(r1, "rs1") is None
            cluster.stop_server("rs1")
            soon(lambda: "connection refused" in reason(r1), "the checks go on meanwhile")
            nanny.send_signal(signal.SIGUSR2)
            until("UP  weight 1  forced up by root (signal SIGUSR2 to nanny")
            assert weight(r1, "rs1") == "1", "whatever its checks say"
            nanny.send_signal(signal.SIGHUP)
            until("DOWN  weight - of 1  connection refused")
            assert weight(r1, "rs1") is None
        finally:
            nanny.kill()
            cluster.start_server("rs1")
            piranha(r1, "enable", SERVERS["rs1"], check=False)
    soon(lambda: weight(r1, "rs1") == "1", "it serves again")


def test_a_probe_waits_for_checks_and_tells_who_does_not_serve(
    cluster: Cluster, r1: Router, r2: Router
) -> None:
    for router in (r1, r2):
        assert piranha(router, "probe", "--within", "60") == "this router does its work\n"
    for name in SERVERS:
        cluster.stop_server(name)
    try:
        argv = [sys.executable, "-m", "piranha", "probe", "--within", "6"]
        argv += ["--run-dir", str(r2.run_dir)]
        told = subprocess.run(
            argv, env=r2.environment(), capture_output=True, text=True, check=False, timeout=60
        )
        assert told.returncode == 1
        assert "virtual service web has no real server in service (rs1: " in told.stderr
    finally:
        for name in SERVERS:
            cluster.start_server(name)
    assert piranha(r1, "probe", "--within", "60") == "this router does its work\n"


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
