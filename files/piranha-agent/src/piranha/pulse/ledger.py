# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the heart leaves in the run folder for those who must let go for it when it cannot.

addresses.json  the virtual addresses, written before they are set, and whether they are to be
                held: a heart that starts adopts them only then; addresses.GROUP.json the same for
                each group of failover services that has a name; with .next at its end: what becomes
                of it when they are set
session.json    how to say goodbye in the heart's place (0600: who has it and the key may), and
                what the next heart needs to go on with the conversation where this one ended

A reader sees an old or a new one whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from piranha import files
from piranha.net.addresses import VirtualAddress

from .conversation import Memory
from .heart_settings import Route
from .oldwire import Order
from .wire import DIGEST_SIZE, SESSION_SIZE, Role

ADDRESSES = "addresses.json"
SESSION = "session.json"
_NEXT = ".next"
_ORDERS: dict[str, Order] = {"little": "little", "big": "big"}
SESSIONS_KEPT = 4
"""Sessions of which the partner may still know one: hearts that died before it heard them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """addresses.json. hold: they are to be held; False: they were being let go of."""

    addresses: tuple[VirtualAddress, ...] = ()
    hold: bool = False
    found: bool = False
    """There was a file that could be read."""


@dataclass(frozen=True, slots=True)
class Spokesman:
    """session.json: all that is needed to speak for the heart."""

    sessions: tuple[bytes, ...]
    role: Role
    routes: tuple[Route, ...]
    port: int
    key_file: Path
    digest: bytes
    memory: Memory | None = None
    """What is known of the partner."""
    classic: Order | None = None
    """The partner is one of old, and reads bytes in this order (oldwire.py)."""
    boot: str = ""
    """The boot of this machine in which it was written; sessions and times end with it."""

    @property
    def resumable(self) -> bool:
        """Whether a heart may go on with the session: it is of this boot."""
        return self.boot != "" and self.boot == boot_id() and self.sessions != ()


def boot_id() -> str:
    """Give what tells this boot of the machine from all others; empty where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def file_of(group: str) -> str:
    """Give the name of a group's file; "" is the group without a name."""
    return f"addresses.{group}.json" if group else ADDRESSES


def write_addresses(
    run_dir: Path, addresses: Iterable[VirtualAddress], hold: bool, group: str = ""
) -> None:
    """Write addresses.json, or that of a group; OSError where that fails."""
    _write(run_dir / file_of(group), _addresses(addresses, hold))


def prepare_addresses(run_dir: Path, addresses: Iterable[VirtualAddress], group: str = "") -> None:
    """Write beside addresses.json what is to stand there once they are held; OSError as above."""
    _write(run_dir / (file_of(group) + _NEXT), _addresses(addresses, hold=True))


def hold_prepared(run_dir: Path, group: str = "") -> None:
    """Put there what was prepared: a tenth of the time that writing takes; OSError as above."""
    target = run_dir / file_of(group)
    target.with_name(target.name + _NEXT).replace(target)


def _addresses(addresses: Iterable[VirtualAddress], hold: bool) -> dict[str, Any]:
    return {"hold": hold, "addresses": [entry.to_json() for entry in addresses]}


def read_all(run_dir: Path) -> dict[str, Listed]:
    """Read the addresses of all groups of which something was written."""
    names = [path.name.removeprefix("addresses").removesuffix(".json") for path in _files(run_dir)]
    groups = [name.removeprefix(".") for name in names]
    return {group: read_addresses(run_dir, group) for group in groups}


def _files(run_dir: Path) -> list[Path]:
    return sorted(run_dir.glob("addresses.json")) + sorted(run_dir.glob("addresses.*.json"))


def forget_addresses(run_dir: Path, group: str) -> None:
    """Remove a group's file."""
    for name in (file_of(group), file_of(group) + _NEXT):
        (run_dir / name).unlink(missing_ok=True)


def read_addresses(run_dir: Path, group: str = "") -> Listed:
    """Read addresses.json, or that of a group; what cannot be read counts as absent."""
    content = _read(run_dir / file_of(group))
    try:
        listed = tuple(VirtualAddress.from_json(entry) for entry in content["addresses"])
    except (KeyError, TypeError, ValueError):
        return Listed()
    return Listed(listed, content.get("hold") is True, True)


def write_session(run_dir: Path, speaker: Spokesman) -> None:
    """Write session.json; OSError where that fails."""
    _write(
        run_dir / SESSION,
        {
            "sessions": [session.hex() for session in speaker.sessions[:SESSIONS_KEPT]],
            "role": int(speaker.role),
            "routes": [[route.own, route.partner] for route in speaker.routes],
            "port": speaker.port,
            "key_file": str(speaker.key_file),
            "digest": speaker.digest.hex(),
            "classic": speaker.classic,
            "boot": speaker.boot,
            "partner": _from_memory(speaker.memory),
        },
    )


def read_session(run_dir: Path) -> Spokesman | None:
    """Read session.json; None where there is none that makes sense."""
    content = _read(run_dir / SESSION)
    try:
        sessions = tuple(bytes.fromhex(text) for text in content["sessions"])
        digest = bytes.fromhex(content["digest"])
        if any(len(s) != SESSION_SIZE for s in sessions) or len(digest) != DIGEST_SIZE:
            return None
        return Spokesman(
            sessions=sessions,
            role=Role(content["role"]),
            routes=tuple(Route(str(own), str(partner)) for own, partner in content["routes"]),
            port=int(content["port"]),
            key_file=Path(content["key_file"]),
            digest=digest,
            memory=_to_memory(content.get("partner")),
            classic=_ORDERS.get(str(content.get("classic"))),
            boot=str(content.get("boot", "")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _from_memory(memory: Memory | None) -> dict[str, Any] | None:
    if memory is None:
        return None
    return {"session": memory.session.hex(), "apart": memory.apart, "at": memory.at}


def _to_memory(content: object) -> Memory | None:
    """Read it; what makes no sense counts as nothing known."""
    if not isinstance(content, dict):
        return None
    memory = Memory(
        bytes.fromhex(content["session"]), float(content["apart"]), float(content["at"])
    )
    sound = math.isfinite(memory.apart) and math.isfinite(memory.at)
    return memory if sound and len(memory.session) == SESSION_SIZE else None


def forget(run_dir: Path) -> None:
    """Remove all files: nothing is held and nobody is to speak for us."""
    for path in (*_files(run_dir), *run_dir.glob(f"addresses*.json{_NEXT}"), run_dir / SESSION):
        path.unlink(missing_ok=True)


def _write(path: Path, content: dict[str, Any]) -> None:
    files.replace(path, json.dumps(content))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
