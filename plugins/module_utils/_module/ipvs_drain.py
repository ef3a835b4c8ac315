# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a real server with weight 0 is drained, and how to say it.

Private to this collection; used on the target by the module ipvs_server and on the controller by
its action plugin. Pure: clock and sleep are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

HONOUR, EXPIRE = "honour", "expire"
FAIL, PROCEED, RESTORE = "fail", "proceed", "restore"
PERSISTENCE = (HONOUR, EXPIRE)
ON_TIMEOUT = (FAIL, PROCEED, RESTORE)

_WORDS = {
    "active": ("active connection", "active connections"),
    "inactive": ("inactive connection", "inactive connections"),
    "persistent": ("persistence template", "persistence templates"),
}


def waited_for(connections: Mapping[str, int], protocol: str, persistence: str) -> dict[str, int]:
    """How many connections of which kind must go before the server is drained.

    Args:
        connections: active, inactive and persistent (templates), as the kernel counts them.
        protocol: the service's, empty for a firewall mark. The kernel knows active connections of
            tcp and sctp alone; those of udp count as inactive as long as it remembers them.
        persistence: ``honour`` waits for the templates too, ``expire`` does not.
    """
    kinds = ["active"]
    if protocol not in ("tcp", "sctp"):
        kinds.append("inactive")
    if persistence == HONOUR:
        kinds.append("persistent")
    return {kind: connections[kind] for kind in kinds if connections[kind]}


def in_words(waiting: Mapping[str, int]) -> str:
    """The numbers of :func:`waited_for` as a phrase."""
    return " and ".join(f"{number} {_WORDS[kind][number != 1]}" for kind, number in waiting.items())


def progress(server: str, waiting: Mapping[str, int], passed: float, timeout: float) -> str:
    """One line while waiting; times in seconds."""
    return f"{server} drains: {in_words(waiting)} left after {passed:.0f} s of {timeout:.0f} s"


class Ending(NamedTuple):
    """How waiting ended: ``waiting`` is empty for a drained server; ``waited`` in seconds."""

    waiting: Mapping[str, int]
    waited: float


def wait(
    look: Callable[[], Mapping[str, int]],
    timeout: float,
    interval: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    tell: Callable[[Mapping[str, int], float], None] = lambda waiting, passed: None,
) -> Ending:
    """Look until nothing is waited for, or the time is up; look once at least.

    Args:
        look: gives what is still waited for, as :func:`waited_for` does.
        timeout, interval: seconds in all, and between two looks.
        tell: is told what is waited for and the seconds that have passed, before each pause.
    """
    begin = clock()
    while True:
        waiting = look()
        passed = clock() - begin
        if not waiting or passed >= timeout:
            return Ending(waiting, round(passed, 1))
        tell(waiting, passed)
        sleep(min(interval, timeout - passed))


class Verdict(NamedTuple):
    """What follows at the end: a failure or a warning in one sentence, and a weight to set."""

    failure: str = ""
    warning: str = ""
    weight: int | None = None


def verdict(server: str, ending: Ending, on_timeout: str, weight: int) -> Verdict:
    """What a task makes of the end of waiting; ``weight`` is what the server had before."""
    if not ending.waiting:
        return Verdict()
    sentence = f"real server {server}: it is not drained after {ending.waited:.0f} s, "
    sentence += f"{in_words(ending.waiting)} left"
    if on_timeout == PROCEED:
        return Verdict(warning=f"{sentence}; it keeps weight 0 and the play goes on.")
    if on_timeout == RESTORE:
        return Verdict(
            failure=f"{sentence}; it has weight {weight} again, "
            "give it more time or look which clients stay.",
            weight=weight,
        )
    return Verdict(
        failure=f"{sentence}; it keeps weight 0, give it more time or look which clients stay."
    )


def verdict_of(result: Mapping[str, Any], ending: Ending, on_timeout: str) -> Verdict:
    """The same, from the result of the module that set the weight to 0."""
    before = result.get("before") or {}
    return verdict(str(result.get("server", "")), ending, on_timeout, int(before.get("weight", 0)))
