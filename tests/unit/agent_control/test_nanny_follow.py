# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha nanny --follow`: the original's signals as orders, told by a process of its own."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from piranha import cli, nanny_cli

from .answering import answering

SOURCE = str(Path(__file__).resolve().parents[3] / "files/piranha-agent/src")
MODES = {"enabled": "UP", "disabled": "MAINT", "forced_up": "UP"}


class Router:
    """A socket that answers as pulse does, for one server whose state follows the orders."""

    def __init__(self, folder: Path) -> None:
        self.orders: list[dict[str, Any]] = []
        self.refuses = False
        self._mode = "enabled"
        answering(folder, self._answer)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert (asked["server"], asked["virtual"]) == ("one", "web")
        if asked["do"] == "servers":
            return {"ok": True, "result": {"servers": [self._server()]}}
        self.orders.append(asked)
        if self.refuses:
            return {"ok": False, "error": "only root may change anything"}
        before, self._mode = self._said(), asked["mode"]
        where = {"virtual": "web", "server": "one", "address": "192.0.2.21"}
        changed = {**where, "before": before, "after": self._said()}
        return {"ok": True, "result": {"changed": True, "servers": [changed], "warnings": []}}

    def _said(self) -> dict[str, Any]:
        return {"mode": self._mode, "weight": 1, "weight_is": "configured"}

    def _server(self) -> dict[str, Any]:
        state = MODES[self._mode]
        where = {"virtual": "web", "name": "one", "address": "192.0.2.21", "port": 80}
        weights = {"weight": None if state == "MAINT" else 1, "configured_weight": 1}
        return {**where, **weights, "state": state, "since": len(self.orders), "reason": "so"}


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


@contextmanager
def nanny(folder: Path, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """It runs, and has told the state that it found."""
    argv = [sys.executable, "-m", "piranha", "nanny", "-f", "web/one", "--run-dir", str(folder)]
    pipe = subprocess.PIPE
    streams = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, "text": True, **more}
    with subprocess.Popen(argv, env=dict(os.environ, PYTHONPATH=SOURCE), **streams) as process:
        try:
            line = said(process)
            wanted = r"[-0-9]{10} [:0-9]{8}  web/one 192.0.2.21:80  UP  weight 1  so"
            assert re.fullmatch(wanted, line), line
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_the_signals_of_old_are_orders(router: Router, tmp_path: Path) -> None:
    with nanny(tmp_path) as process:
        for number, mode, state in (
            (signal.SIGUSR1, "disabled", "MAINT  weight - of 1"),
            (signal.SIGUSR2, "forced up", "UP  weight 1"),
            (signal.SIGHUP, "enabled", "UP  weight 1"),
        ):
            process.send_signal(number)
            assert f"web: one 192.0.2.21 is {mode} with weight 1" in said(process)
            assert f"web/one 192.0.2.21:80  {state}  so" in said(process)
            asked = router.orders[-1]
            assert asked["mode"] == mode.replace(" ", "_")
            assert asked["reason"] == f"signal {number.name} to nanny {process.pid}"
            assert asked["by"] == "root"
        router.refuses = True
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        assert process.stderr.readline() == "piranha: only root may change anything\n"
        process.terminate()
        assert process.wait(10) == 0
    assert len(router.orders) == 4


def test_a_window_that_is_closed_orders_nothing(router: Router, tmp_path: Path) -> None:
    """It sends HUP, by itself and by the shell that was in it."""
    outer, inner = pty.openpty()
    with nanny(tmp_path, stdin=inner, start_new_session=True) as process:
        os.close(inner)
        os.close(outer)
        process.send_signal(signal.SIGHUP)
        assert process.wait(10) == 0
    assert router.orders == []


def test_without_pulse_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["nanny", "-f", "one", "--run-dir", str(tmp_path)]) == 2
    assert "systemctl start piranha-pulse" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("one", {"server": "one", "virtual": None}),
        ("web/one", {"server": "one", "virtual": "web"}),
        ("[2001:db8::1]:80", {"server": "[2001:db8::1]:80", "virtual": None}),
    ],
)
def test_whom_a_name_means(name: str, wanted: dict[str, str | None]) -> None:
    assert nanny_cli.whom(name) == wanted
