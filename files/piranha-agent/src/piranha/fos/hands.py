# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and stops one service, and knows when it is gone. When to do so is board.py's matter.

A service has stopped when its stop_cmd has succeeded and nothing listens on its port. Where
stop_cmd fails or hangs, what start_cmd left is killed if that is possible (runner.py), and then
the port decides.
"""

from __future__ import annotations

import asyncio
import time

from piranha.commands.command import Command, Result
from piranha.commands.runner import Runner

from . import listening
from .settings import Service

LOOK = 0.05
"""Seconds between two looks whether a port is still taken."""

AFTER_KILL = 2.0
"""Seconds that the kernel has to free the port of what was killed."""


def facts(service: Service, action: str, state: str) -> dict[str, str]:
    """Give the facts that a start_cmd or stop_cmd finds in its environment."""
    return {
        "PIRANHA_STATE": state,
        "PIRANHA_GROUP": service.group,
        "PIRANHA_SERVICE": service.name,
        "PIRANHA_ACTION": action,
        "PIRANHA_ADDRESS": service.address,
        "PIRANHA_PORT": str(service.port),
    }


async def start(runner: Runner, service: Service) -> Result:
    """Run start_cmd; what it leaves running stays."""
    if not service.start:
        return Result(True, "is not set")
    name = f"start {service.name}"
    env = facts(service, "start", "active")
    command = Command(name, service.start, service.start_timeout, env)
    return await runner.start(command, service.name, service.stop_timeout)


async def stop(
    runner: Runner, service: Service, state: str, *, ran: bool, listened: bool = False
) -> Result:
    """Stop a service and wait until it is gone.

    state: what this router is. ran: whether it is known to have run; else a stop_cmd that fails
    means no more than that there was nothing to stop. listened: whether it was ever seen on its
    port; then the port tells whether it has gone.
    """
    begin = time.monotonic()
    seen = listened or listens(service)
    asked = Result(False, "is not set")
    if service.stop:
        env = facts(service, "stop", state)
        command = Command(f"stop {service.name}", service.stop, service.stop_timeout, env)
        asked = await runner.run(command)
    words = f"stop_cmd {asked.words}"
    rest = max(service.stop_timeout - (time.monotonic() - begin), LOOK)
    if asked.ok and await _gone(service, rest):
        await runner.finish(service.name, service.stop_timeout)
        return Result(True, words, time.monotonic() - begin)
    await runner.end(service.name)
    gone = await _gone(service, AFTER_KILL)
    sure = runner.certain or not ran or seen
    took = time.monotonic() - begin
    if not gone:
        words += f", and port {service.port} of {service.address} is still taken"
    elif not ran and not seen:
        words = "it did not run"  # whatever stop_cmd makes of that
    elif not sure:
        words += ", and whether it still runs cannot be seen"
    elif ran and runner.certain:
        words += "; what start_cmd had left was killed"
    return Result(gone and sure, words, took)


def listens(service: Service) -> bool:
    """Whether a program on this machine listens on the service's port now."""
    return listening.now(service.protocol, service.address, service.port)


async def _gone(service: Service, limit: float) -> bool:
    end = time.monotonic() + limit
    while listens(service):
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(LOOK)
    return True
