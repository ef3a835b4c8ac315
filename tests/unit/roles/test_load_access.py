# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers may ask for the load and for nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROLE = Path(__file__).parents[3] / "roles/piranha_realserver"
PROGRAM = ROLE / "files/piranha_load.py"


def ask(text: str | None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, LD_PRELOAD="", BASH_ENV="/nonexistent")
    environment.pop("SSH_ORIGINAL_COMMAND", None)
    if text is not None:
        environment["SSH_ORIGINAL_COMMAND"] = text
    return subprocess.run(
        [sys.executable, "-I", str(PROGRAM)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_load_and_the_processors_are_told() -> None:
    assert "load average" in ask("uptime").stdout
    assert int(ask(" nproc\n").stdout) >= 1


@pytest.mark.parametrize(
    "text", [None, "", "sh", "uptime; id", "uptime -V", "/usr/bin/uptime", "nproc\nid", "$(id)"]
)
def test_nothing_else_is(text: str | None) -> None:
    done = ask(text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "piranha-load: only uptime and nproc are answered here\n"


def test_a_key_of_a_router_can_do_no_more_than_run_that() -> None:
    lines = (ROLE / "templates/load_keys.j2").read_text().splitlines()
    keys = [line for line in lines if "b64decode" in line]
    assert len(keys) == 1
    # `restrict` is all that sshd knows to forbid, of today and of later versions.
    assert keys[0].startswith('restrict,command="{{ __piranha_realserver_load_program }}" ')
