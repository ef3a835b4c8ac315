# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the other router's editor the same that was asked here, by `rsh_command`.

There each request is judged again: by that router's ceiling, its findings, its programs, its
digest. Here only this is settled: that it is ssh, that root has set it up, and that the machine is
the one whose heartbeats are signed. What a user typed goes through standard input, never into a
command line: at the far end of ssh there is a shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from piranha.core.lvs_cf.config import Config
from piranha.gui.protocol import MAX_REQUEST, Actor
from piranha.nanny.program import PATH, Refused, find

ASKABLE = ("config", "preview", "write", "order", "history", "old", "rights")
"""What may be asked of the partner."""

REMOTE = ("/usr/sbin/piranha", "editor", "--relay")
SSH = "ssh"
PATIENCE = 60.0
MOST = 64 * 1024 * 1024

SET_UP = (
    'root sets that up once: rsh_command = "/usr/bin/ssh -i /etc/piranha/partner.key", and on the'
    ' partner `command="/usr/sbin/piranha editor --relay",restrict` before that key in'
    " authorized_keys"
)


class OutOfReach(Exception):
    """The partner cannot be asked; the text is one sentence."""


class NotSetUp(OutOfReach):
    """There is no way to it, or no partner: to ask again is in vain before root does something."""


def command(config: Config, status: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the argument list that reaches the partner's editor; NotSetUp."""
    peer = (status.get("heart") or {}).get("peer") or {}
    address = peer.get("address")
    if not isinstance(address, str) or not address:
        raise NotSetUp("this router has no partner")
    section = config.globals
    words = tuple((section.text("rsh_command") or "").split())
    if not section.given("rsh_command") or not words or words[0].rpartition("/")[2] != SSH:
        raise NotSetUp(f"the page reaches the partner only by an ssh that is set up; {SET_UP}")
    options = ("-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes")
    return (*words, *options, "-o", "ConnectTimeout=5", "--", address, *REMOTE)


def request(inner: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """Give the request as the partner is to hear it: in the name of whoever asks here."""
    by = {"user": f"{actor.user}@{socket.gethostname()}", "role": actor.role}
    return {**inner, "id": 1, "by": by}


async def ask(
    argv: tuple[str, ...], message: Mapping[str, Any], trusted: frozenset[int] = frozenset({0})
) -> dict[str, Any]:
    """Have it answered; OutOfReach. trusted: who may own the program."""
    try:
        path = find(argv[0], trusted)
        process = await asyncio.create_subprocess_exec(
            path,
            *argv[1:],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
            limit=MOST,
        )
    except (Refused, OSError) as why:
        raise OutOfReach(f"the partner cannot be asked: {why}") from None
    try:
        async with asyncio.timeout(PATIENCE):
            out, errors = await process.communicate(json.dumps(message).encode() + b"\n")
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise OutOfReach(f"the partner did not answer within {PATIENCE:.0f} s") from None
    return answer(out, errors, process.returncode or 0)


def answer(out: bytes, errors: bytes, status: int) -> dict[str, Any]:
    """Read what came back; OutOfReach. Pure."""
    try:
        found = json.loads(out)
    except ValueError:
        found = None
    if isinstance(found, dict) and "ok" in found:
        return found
    last = (errors.decode("utf-8", "replace").strip().splitlines() or [f"status {status}"])[-1]
    raise OutOfReach(f"the partner cannot be asked: {last[:300]}; {SET_UP}")


def relay(path: Path) -> int:
    """The far end: hand one request from standard input to the editor here; gives exit status."""
    line = sys.stdin.buffer.readline(MAX_REQUEST)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(path))
            sock.sendall(line.rstrip(b"\n") + b"\n")
            with sock.makefile("rb") as lines:
                told = lines.readline(MOST)
    except OSError as why:
        print(f"no editor answers at {path}: {why.strerror or why}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(told)
    sys.stdout.buffer.flush()
    return 0
