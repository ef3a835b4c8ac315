# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the user that act on the system: what is to be run, its facts, what came of it.

Pure. How they are run is runner.py's matter; how systemd is asked to, transient.py's. Programs
that check servers are not meant: those have no rights at all (nanny/program.py).
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

FACTS: Mapping[str, str] = {
    "PIRANHA_STATE": "what this router is now: active, standby, fault or stopped",
    "PIRANHA_OLD_STATE": "what it was when commands ran last; empty at the first time",
    "PIRANHA_REASON": "why it changed, in words",
    "PIRANHA_ROLE": "primary or backup, as lvs.cf says",
    "PIRANHA_PARTNER": "address of the partner; empty without one",
    "PIRANHA_PARTNER_STATE": "what the partner said it is, or down",
    "PIRANHA_ADDRESSES": "the virtual addresses that this router holds or held last, with their"
    " prefix lengths, separated by blanks",
    "PIRANHA_CONFIG": "path of lvs.cf",
    "PIRANHA_GROUP": "group of failover services that it is about; empty where it has no name",
    "PIRANHA_SERVICE": "name of the failover service (start_cmd and stop_cmd only)",
    "PIRANHA_ACTION": "start or stop (start_cmd and stop_cmd only)",
    "PIRANHA_ADDRESS": "address of the failover service (start_cmd and stop_cmd only)",
    "PIRANHA_PORT": "port of the failover service (start_cmd and stop_cmd only)",
}
"""The environment that commands find, besides PATH and LC_ALL. The documentation is held to it."""


@dataclass(frozen=True)
class Command:
    """One run of a command.

    name: what people call it, such as `active_cmd`. argv: the program and its arguments.
    limit: seconds it may take. facts: see FACTS.
    """

    name: str
    argv: tuple[str, ...]
    limit: float
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """All that the command finds in its environment."""
        strange = self.facts.keys() - FACTS.keys()
        if strange:
            raise ValueError(f"facts that are not documented: {', '.join(sorted(strange))}")
        facts = {name: one_line(value) for name, value in self.facts.items()}
        return {"PATH": PATH, "LC_ALL": "C.UTF-8", **facts}


@dataclass(frozen=True)
class Result:
    """What came of a command: whether it succeeded, in words what happened, and seconds it took."""

    ok: bool
    words: str
    seconds: float = 0.0

    def told(self, name: str) -> str:
        """Give the sentence for the log."""
        return f"{name} {self.words} after {self.seconds:.2f} s"


def split(text: str | None) -> tuple[str, ...]:
    """Split a command as the original did: at blanks, without quotes, without a shell."""
    return tuple((text or "").split())


def one_line(text: str) -> str:
    """Make a text fit for an environment: one line, no NUL."""
    return " ".join(text.replace("\0", " ").split())


def ended(status: int | None, limit: float) -> tuple[bool, str]:
    """Say what an exit status (negative: a signal; None: the limit in seconds) means."""
    if status is None:
        return False, f"did not end within {limit:g} s and was killed"
    if status == 0:
        return True, "succeeded"
    if status > 0:
        return False, f"ended with status {status}"
    try:
        return False, f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return False, f"was ended by signal {-status}"
