# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent's editor made of nothing but a text in memory, and users known beforehand.

It obeys the rules of protocol.py where the page depends on them: roles, digests, conflicts.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import time
from collections.abc import Mapping
from typing import Any

from piranha.core.lvs_cf import compare
from piranha.core.lvs_cf.api import load
from piranha.gui.backend import Answer, Failed
from piranha.gui.protocol import (
    CONFLICT,
    FORBIDDEN,
    INVALID,
    UNKNOWN,
    VIEW,
    Actor,
    lesser,
    may,
)

TEXT = """\
# The cluster of the shop.  Do not touch without a ticket!
serial_no = 41
primary = 192.0.2.1
backup = 192.0.2.2
backup_active = 1
network = direct
keepalive = 2     # seconds
deadtime = 6

virtual web {
    active = 1
    address = 192.0.2.80/24 eth0:1
    port = 80
    send = "GET / HTTP/1.0\\r\\n\\r\\n"
    expect = "HTTP"

    server one {
        address = 10.0.0.11
        active = 1
        weight = 1
    }
    server two {   # the old one
        address = 10.0.0.12
        active = 1
    }
}
"""

PASSWORDS = {"vera": "v" * 12, "otto": "o" * 12, "edda": "e" * 12}
ROLES = {"vera": "view", "otto": "operate", "edda": "edit"}
TOKENS = {"t-view": ("scraper", "view"), "t-edit": ("builder", "edit")}


class FakeUsers:
    """Three people, two machines."""

    def __init__(self) -> None:
        self.roles = dict(ROLES)
        self.asked = 0

    def login(self, name: str, password: str) -> str | None:
        self.asked += 1
        return self.roles.get(name) if PASSWORDS.get(name) == password else None

    def token(self, token: str) -> tuple[str, str] | None:
        return TOKENS.get(token)

    def role(self, name: str) -> str | None:
        return self.roles.get(name)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class FakeBackend:
    """The editor. status: what it gives as such. asked: every request, with who asked."""

    def __init__(self, text: str = TEXT) -> None:
        self.text = text
        self.status = status()
        self.ceiling = "edit"
        self.managed = False
        self.asked: list[tuple[str, dict[str, Any], Actor | None]] = []
        self.kept: list[dict[str, Any]] = []
        self.old: list[str] = []
        self.drafts: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        self.gone = False
        self.partner: FakeBackend | None = None
        self.page: Any = None

    async def ask(
        self, do: str, arguments: Mapping[str, Any] | None = None, by: Actor | None = None
    ) -> Answer:
        given = dict(arguments or {})
        self.asked.append((do, given, by))
        if self.gone:
            raise Failed("the agent does not answer", "unavailable")
        role = lesser(by.role if by else VIEW, self.ceiling)
        if not may(role, do):
            raise Failed(f"{do} needs more rights than {role}", FORBIDDEN)
        return await getattr(self, f"_{do}")(given, by)

    async def close(self) -> None:
        pass

    async def _status(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return self.status

    async def _events(self, given: dict[str, Any], by: Actor | None) -> Answer:
        after = given.get("after", 0)
        if after >= len(self.events):
            await asyncio.sleep(min(0.05, given.get("wait", 0)))
        return {"events": self.events[after:], "last": len(self.events)}

    async def _metrics(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return {"text": "piranha_up 1\n"}

    async def _login(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return {}

    async def _rights(self, given: dict[str, Any], by: Actor | None) -> Answer:
        why = "Ansible writes this file." if self.managed else ""
        return {
            "ceiling": self.ceiling,
            "editing": not self.managed,
            "why_not": why,
            "managed_by_ansible": self.managed,
            "cluster": "shop" if self.managed else "",
            "playbook": "piranha.lvs.site" if self.managed else "",
        }

    async def _config(self, given: dict[str, Any], by: Actor | None) -> Answer:
        loaded = load(self.text)
        return {
            "text": self.text,
            "digest": digest(self.text),
            "serial": loaded.config.globals.number("serial_no") or 0,
            "managed_by_ansible": self.managed,
            "in_force": True,
            "path": "/etc/lvs.cf",
        }

    async def _preview(self, given: dict[str, Any], by: Actor | None) -> Answer:
        old, new = load(self.text), load(given["text"])
        told = compare.differences(old.config, new.config)
        diff = difflib.unified_diff(
            self.text.splitlines(keepends=True), given["text"].splitlines(keepends=True)
        )
        return {
            "findings": [one._asdict() for one in new.findings],
            "errors": len(new.errors),
            "text_diff": list(diff),
            "meaning": [
                {
                    "block": list(one.block),
                    "directive": one.directive,
                    "words": f"{one.path}: {one.left} becomes {one.right}",
                }
                for one in told
            ],
            "table": ["-A -t 192.0.2.81:80 -s wlc"],
            "table_note": "as if every server were up",
            "refused": [],
            "conflict": given["digest"] != digest(self.text),
            "yaml": "piranha_virtual_servers: []\n" if self.managed else "",
        }

    async def _write(self, given: dict[str, Any], by: Actor | None) -> Answer:
        if self.managed:
            raise Failed("Ansible writes this file", "refused")
        if given["digest"] != digest(self.text):
            last = self.kept[0] if self.kept else {}
            details = {"who": last.get("user"), "when": last.get("at"), "why": last.get("why")}
            raise Failed("the file is another one by now", CONFLICT, details)
        loaded = load(given["text"])
        if loaded.errors:
            raise Failed("the text has errors", INVALID, {"findings": []})
        self.old.append(self.text)
        before, self.text = digest(self.text), given["text"]
        number = len(self.old)
        self.kept.insert(
            0,
            {
                "number": number,
                "at": time.time(),
                "user": by.user if by else "?",
                "role": by.role if by else "?",
                "why": given["why"],
                "before": before,
                "after": digest(self.text),
                "outcome": "in force",
                "note": "",
                "difference": ["something changed"],
            },
        )
        return {
            "digest": digest(self.text),
            "serial": 42,
            "backup": number,
            "in_force": True,
            "note": "",
            "warnings": [],
        }

    async def _history(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return {"entries": self.kept}

    async def _old(self, given: dict[str, Any], by: Actor | None) -> Answer:
        if not 0 < given["number"] <= len(self.old):
            raise Failed("there is no such entry", UNKNOWN)
        return {"text": self.old[given["number"] - 1]}

    async def _partner(self, given: dict[str, Any], by: Actor | None) -> Answer:
        if self.partner is None:
            raise Failed("rsh_command says no way to the partner", "refused")
        asked = dict(given["ask"])
        return await self.partner.ask(asked.pop("do"), asked, by)

    async def _keep(self, given: dict[str, Any], by: Actor | None) -> Answer:
        self.drafts[by.user if by else ""] = given["draft"]
        return {}

    async def _kept(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return {"draft": self.drafts.get(by.user if by else "", "")}

    async def _programs(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return {
            "folder": "/etc/piranha/scripts",
            "programs": [{"path": "/etc/piranha/scripts/notify", "fit": True, "why_not": ""}],
        }

    async def _order(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return {"words": [f"{given['order']} is ordered."], "warnings": []}

    async def _check_now(self, given: dict[str, Any], by: Actor | None) -> Answer:
        return {"verdict": "up", "lines": ["connected", "answered <b>HTTP</b>"]}


def server(name: str, number: int, state: str = "UP", **more: Any) -> dict[str, Any]:
    now = time.time()
    return {
        "name": name,
        "address": f"10.0.{number // 250}.{number % 250 + 1}",
        "port": 80,
        "state": state,
        "health": state,
        "weight": 1 if state == "UP" else 0,
        "configured_weight": 1,
        "reason": "answered HTTP/1.1 200 OK",
        "since": now - 300,
        "override": None,
        "last_check": {"at": now - 1, "seconds": 0.0012, "result": "passed", "answer": "200"},
        "load": {
            "counted_at": now,
            "active": 12,
            "inactive": 3,
            "persistent": 0,
            "connections": 1000,
            "connection_rate": 25,
            "byte_rate_in": 40_000,
            "byte_rate_out": 1_250_000,
        },
        "busy": None,
        **more,
    }


def virtual(name: str, number: int, servers: list[dict[str, Any]]) -> dict[str, Any]:
    up = sum(one["state"] == "UP" for one in servers)
    return {
        "name": name,
        "address": f"192.0.{2 + number // 250}.{number % 250 + 1}",
        "port": 80,
        "protocol": "tcp",
        "fwmark": None,
        "marks": [],
        "scheduler": "wlc",
        "forward": "direct",
        "in_service": up,
        "well": up,
        "quorum": 1,
        "pool": "well",
        "sorry": None,
        "servers": servers,
    }


def status(services: int = 2, servers: int = 2) -> dict[str, Any]:
    """A router that is active, with its partner standing by."""
    now = time.time()
    return {
        "host": "router-a",
        "version": "0.1.0",
        "heart": {
            "state": "active",
            "since": now - 7200,
            "reason": "no partner was heard",
            "role": "primary",
            "peer": {
                "address": "192.0.2.2",
                "state": "standby",
                "heard": now - 0.4,
                "digest": "aabb",
                "services": None,
                "version": "0.1.0",
                "able": services,
                "of": services,
                "connections": 0,
                "wants": None,
            },
            "holding": True,
            "addresses": [{"address": "192.0.2.80", "device": "eth0"}],
            "digest": "aabb",
            "links": [
                {"own": "192.0.2.1", "partner": "192.0.2.2", "up": True, "heard": now - 0.4,
                 "sending": "ok"}
            ],
            "sync": {"interface": "eth1", "id": 3, "master": True, "backup": False},
            "problems": [],
        },
        "lvsd": {
            "config": {"digest": "0123456789abcdef"},
            "checks": services * servers,
            "table": {"drifts": 0},
            "overrides": 0,
            "problems": [],
            "virtual": [
                virtual(
                    f"shop-{number:04}",
                    number,
                    [server(f"rs{at:02}", number * servers + at) for at in range(servers)],
                )
                for number in range(services)
            ],
        },
        "ages": {"heart": 0.1, "lvsd": 0.2},
        "pulse": {
            "uptime": 7300.0,
            "restarts": {"heart": 0, "lvsd": 0},
            "running": {"heart": True, "lvsd": True},
        },
    }
