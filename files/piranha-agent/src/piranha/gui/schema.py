# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a JSON body must look like: one description for the reader and for OpenAPI. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .protocol import LONGEST_REASON, MAX_REQUEST, ORDERS

TEXT, WEIGHT = "text", "weight"
HEAVIEST = 65535
DIGEST_DIGITS = 64
LONGEST_NAME = 400


class Fault(Exception):
    """What is wrong with a body; the text is one sentence."""


@dataclass(frozen=True)
class Argument:
    """One member of a body. most: characters."""

    name: str
    doc: str
    kind: str = TEXT
    needed: bool = True
    most: int = LONGEST_NAME
    choices: tuple[str, ...] = ()
    least: int = 0

    def schema(self) -> dict[str, Any]:
        """Say it as OpenAPI does."""
        if self.kind == WEIGHT:
            number = {"type": "integer", "minimum": 0, "maximum": HEAVIEST}
            return {
                "description": self.doc,
                "anyOf": [number, {"type": "string", "enum": ["configured"]}],
            }
        made: dict[str, Any] = {"type": "string", "description": self.doc}
        if self.choices:
            return {**made, "enum": list(self.choices)}
        return {**made, "maxLength": self.most, **({"minLength": self.least} if self.least else {})}

    def read(self, value: object) -> object:
        """Give the value; Fault."""
        if self.kind == WEIGHT:
            number = isinstance(value, int) and not isinstance(value, bool)
            if value == "configured" or (number and 0 <= int(str(value)) <= HEAVIEST):
                return value
            raise Fault(f"{self.name} must be a number from 0 to {HEAVIEST}, or configured")
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            raise Fault(f"{self.name} must be a text of {self.least} to {self.most} characters")
        if self.choices and value not in self.choices:
            raise Fault(f"{self.name} must be one of {', '.join(self.choices)}")
        return value


Body = tuple[Argument, ...]

_TEXT = Argument("text", "lvs.cf, whole", most=MAX_REQUEST)
_DIGEST = Argument("digest", "of the file that the text is based on", most=DIGEST_DIGITS)
_WHY = Argument("why", "the reason, which is kept", most=LONGEST_REASON, least=1)
_SERVER = Argument("server", "name, address or address:port of a real server")
_VIRTUAL = Argument("virtual", "name of a virtual service", needed=False)

CHECK: Body = (_TEXT,)
PREVIEW: Body = (_DIGEST, _TEXT)
WRITE: Body = (_DIGEST, _TEXT, _WHY)
ORDER: Body = (
    Argument("order", "what shall be done", choices=ORDERS),
    Argument("server", "name, address or address:port of a real server", needed=False),
    _VIRTUAL,
    Argument("value", "of the order weight", kind=WEIGHT, needed=False),
    _WHY,
)
CHECK_NOW: Body = (
    Argument("virtual", "name of a virtual service"),
    _SERVER,
)


def arguments(body: Body, told: Mapping[str, Any]) -> dict[str, Any]:
    """Read a body; Fault for the first thing that is wrong."""
    known = {one.name for one in body}
    for name in told:
        if name not in known:
            shown = name[:40]
            raise Fault(f"there is no argument {shown!r}; known: {', '.join(sorted(known))}")
    made = {}
    for one in body:
        if one.name in told:
            made[one.name] = one.read(told[one.name])
        elif one.needed:
            raise Fault(f"the argument {one.name} is missing: {one.doc}")
    return made


def object_schema(body: Body) -> dict[str, Any]:
    """Describe a body for OpenAPI."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [one.name for one in body if one.needed],
        "properties": {one.name: one.schema() for one in body},
    }
