# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the running agent over its control socket, and waits for what a real server comes to.

Private to this collection. Nothing of the agent's code is needed for it: one JSON object a line
goes there, and one comes back for each. What a request means is up to the agent.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

SOCKET = "/run/piranha/control.sock"
PATIENCE = 15.0  # seconds for one answer
UP = "UP"
LONGEST = 16 * 1024 * 1024  # bytes of an answer that make sense


class AgentError(Exception):
    """The agent cannot be asked, or refuses; the text is one sentence with the remedy."""


class Agent:
    """One connection to the agent. A context manager.

    Args:
        path: the control socket.
        patience: seconds to wait for each answer.
    """

    def __init__(self, path: str = SOCKET, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._rest = b""
        self._last = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(patience)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise AgentError(_why(path, error)) from None

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def ask(self, do: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give the result of one request; AgentError."""
        self._last += 1
        line = json.dumps({**arguments, "id": self._last, "do": do}) + "\n"
        try:
            self._socket.sendall(line.encode())
            message = self._answer()
        except socket.timeout:  # no subclass of OSError's names before Python 3.10
            raise AgentError(
                f"the agent at {self._path} did not answer within {self._patience:g} s; "
                "see journalctl -u piranha-pulse"
            ) from None
        except OSError as error:
            raise AgentError(_why(self._path, error)) from None
        if message.get("ok") is not True:
            raise AgentError(f"{message.get('error', 'the agent refuses without a reason')}")
        result = message.get("result")
        if not isinstance(result, dict):
            raise AgentError(f"the agent at {self._path} gave an answer without a result")
        return result

    def _answer(self) -> dict[str, Any]:
        while True:
            line, found, rest = self._rest.partition(b"\n")
            if found:
                self._rest = rest
                message = self._parsed(line)
                if message.get("id") in (self._last, None) and "ok" in message:
                    return message
                continue
            data = self._socket.recv(65536)
            if not data:
                raise AgentError(f"the agent closed the connection at {self._path}; try again")
            self._rest += data
            if len(self._rest) > LONGEST:
                raise AgentError(f"the agent at {self._path} gave an answer without an end")

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise AgentError(f"what answers at {self._path} does not speak as the agent does")
        return message


def _why(path: str, error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return (
            f"the agent does not run (nobody answers at {path}); start it with "
            "systemctl start piranha-pulse, or name its socket with control_socket"
        )
    if isinstance(error, PermissionError):
        return f"the agent may not be asked at {path}; become root (become: true)"
    return f"the agent cannot be asked at {path}: {error.strerror or error}"


_Left = TypeVar("_Left", bound=Mapping[str, Any])


def wait_until_nothing_is_left(
    left: Callable[[], _Left],
    timeout: float,
    interval: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[_Left, float]:
    """Look until nothing is left, or the time is up; look once at least.

    Args:
        left: gives what is waited for, by name.
        timeout, interval: seconds in all, and between two looks.
        clock, sleep: seconds.

    Returns:
        What is left at the last look, and the seconds that have passed.
    """
    begin = clock()
    while True:
        here = left()
        passed = clock() - begin
        if not here or passed >= timeout:
            return here, round(passed, 1)
        sleep(min(interval, timeout - passed))


def in_words(left: Mapping[str, int]) -> str:
    """Say how many connections of which kind."""
    return " and ".join(f"{number} {kind}" for kind, number in sorted(left.items()))


def not_up(servers: Iterable[Mapping[str, Any]], since: float) -> dict[str, str]:
    """Say of each virtual service why a real server cannot serve in it, as far as is known.

    A verdict that rests on checks made before `since` says nothing of a machine that was worked
    on meanwhile.

    Args:
        servers: as the agent's answer to `servers` has them.
        since: seconds since the epoch.
    """
    told = {}
    for one in servers:
        check = one.get("last_check")
        if one["health"] != UP:
            told[str(one["virtual"])] = f"{one['health']} ({one['reason']})"
        elif check is not None and check["at"] < since:
            told[str(one["virtual"])] = "not checked yet"
    return told
