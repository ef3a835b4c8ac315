# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs lvsd without pulse, in the foreground: an IPVS table and its checks, and no failover.

It starts the child as pulse would and passes signals on to it: TERM and INT stop it, HUP reads the
file again. Nobody serves the control socket. It never runs beside pulse, which has an lvsd already.
"""

from __future__ import annotations

import fcntl
import functools
import importlib
import os
import select
import signal
from pathlib import Path

from piranha.control.protocol import event_of

from . import settings, warm
from .journal import Log, say
from .names import CONFIG_IN_FORCE, LOCK
from .ward import run_child

REFUSED = 1
STOP_LIMIT = 10.0
"""Seconds that it may take to end."""
LOOK = 0.2
"""Seconds between two looks whether it has ended."""


def run(config_path: Path, run_dir: Path, module: str = "piranha.lvsd.child") -> int:
    """Run until TERM or INT; gives the exit status, 1 where it cannot start, with a sentence."""
    try:
        current = settings.load(config_path)
        run_dir.mkdir(mode=0o755, exist_ok=True)
        lock = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except settings.ConfigError as why:
        say(str(why))
        return REFUSED
    except OSError as problem:
        say(f"{run_dir}: {problem.strerror}; lvsd needs this folder, or another with --run-dir")
        return REFUSED
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"pulse or lvsd is running already with {run_dir}; see piranha status")
        return REFUSED
    work = importlib.import_module(module).run
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: asked.append(number))
    settings.put_in_force(current, run_dir / CONFIG_IN_FORCE)
    entry = functools.partial(run_child, work, run_dir / CONFIG_IN_FORCE, run_dir)
    return _attend(warm.spawn("lvsd", entry), asked, config_path, run_dir, Log())


def _attend(
    process: warm.Process, asked: list[int], config_path: Path, run_dir: Path, log: Log
) -> int:
    """Log what it says and pass on what we are asked, until it has ended."""
    number = 0
    while (status := process.poll()) is None:
        if process.link.fileno() >= 0 and select.select([process.link], [], [], LOOK)[0]:
            for message in process.link.receive():
                if "event" in message:
                    event = event_of("lvsd", message["event"], 0.0)
                    log.write(event["level"], event["text"])
                if message.get("ok") is False:
                    log.write("err", str(message.get("error")))
        while asked:
            number += 1
            if asked.pop(0) != signal.SIGHUP:
                process.link.send({"ask": number, "do": "stop"})
                status = process.wait(STOP_LIMIT)
                if status is None:
                    process.kill()
                return warm.FAILED if status is None else status
            if _reloaded(config_path, run_dir, log):
                process.link.send({"ask": number, "do": "reload"})
    log.write("err", f"lvsd {warm.describe(status)}")
    return status if status > 0 else warm.FAILED


def _reloaded(config_path: Path, run_dir: Path, log: Log) -> bool:
    """Put the file in force; a bad one changes nothing."""
    try:
        settings.put_in_force(settings.load(config_path), run_dir / CONFIG_IN_FORCE)
    except settings.ConfigError as why:
        for sentence in str(why).splitlines():
            log.write("err", sentence)
        return False
    return True
