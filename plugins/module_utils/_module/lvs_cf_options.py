# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules about lvs.cf, and their documentation, made from the table.

Private to this collection; imports nothing of Ansible. A new directive is a new option of its
module and a new entry of its documentation (doc_fragments/lvs_cf.py) without a word here.
"""

from __future__ import annotations

from typing import Any

from ..lvs_cf import directives as d
from ..lvs_cf.directives import FAILOVER, GLOBAL, SERVER, TABLES, VIRTUAL, Directive
from ..lvs_cf.merge import OVERRIDDEN, PARTS
from ..lvs_cf.merge import STATES as FILE_STATES

Spec = dict[str, Any]

DEFAULT_PATH = "/etc/lvs.cf"
STATES = ("present", "absent")
# What Ansible shall make of a directive's value; every other kind is a text. A text is read as
# in the file, so that `500ms`, `http` and `/24` mean what they mean there.
_TYPES = {d.SWITCH: "bool", d.NUMBER: "int", d.ADDRESS_DEVICE: "raw", d.LIST: "list"}
_TEXTS = (
    d.SECONDS,
    d.WHOLE_SECONDS,
    d.PORT,
    d.CHOICE,
    d.HOST,
    d.IP,
    d.MASK,
    d.TEXT,
    d.QUOTED,
    d.ESCAPED,
    d.PATH,
)
# What to write, for kinds whose name and Ansible's type do not say it.
_HINTS = {
    d.SECONDS: "A time in seconds, or with a unit, for example V(0.5), V(500ms) or V(2m).",
    d.WHOLE_SECONDS: "A time in whole seconds, or with a unit, for example V(300) or V(5m).",
    d.PORT: "A number or the name of a service.",
    d.HOST: "An address or a host name.",
    d.IP: "An address.",
    d.ADDRESS_DEVICE: "A text, such as V(192.0.2.1 eth1:1), or C(address) and C(device) as keys.",
    d.MASK: "A netmask, for example V(255.255.255.0), or a prefix length, for example V(/24).",
    d.ESCAPED: "Line ends are written as escapes.",
    d.PATH: "An absolute path.",
}
_SECRET_WORDS = ("key", "pass", "secret", "token")


def path_spec() -> Spec:
    """The options of every module about the file."""
    return {
        "path": {"type": "path", "default": DEFAULT_PATH},
        "classic": {"type": "bool", "default": False},
    }


def file_spec(copy: str = "backup") -> Spec:
    """The options of every module that writes the file; `copy` is the name of the backup switch."""
    return {**path_spec(), copy: {"type": "bool", "default": False}}


def cluster_spec() -> Spec:
    """The options of the module lvs_cf, those of the file aside."""
    return {
        "state": {"type": "str", "default": OVERRIDDEN, "choices": list(FILE_STATES)},
        PARTS[GLOBAL]: {"type": "dict"},
        PARTS[VIRTUAL]: {"type": "list", "elements": "dict"},
        PARTS[FAILOVER]: {"type": "list", "elements": "dict"},
        "rewrite": {"type": "bool", "default": False},
        "header": {"type": "str"},
        "whole_file": {"type": "bool", "default": False},
    }


def object_spec(kind: str) -> Spec:
    """The options of the module for one object of a kind, those of the file aside."""
    spec: Spec = {"state": {"type": "str", "default": STATES[0], "choices": list(STATES)}}
    if kind != GLOBAL:
        spec["name"] = {"type": "str", "required": True}
    if kind == SERVER:
        spec["virtual_server"] = {"type": "str", "required": True}
    spec.update(directive_spec(kind))
    spec["unset"] = {"type": "list", "elements": "str", "choices": unsettable(kind)}
    return spec


def directive_spec(kind: str) -> Spec:
    """One option for each directive of a block, by its own name."""
    spec = {name: _option(row) for name, row in TABLES[kind].rows.items()}
    if kind in (VIRTUAL, FAILOVER):
        spec["device"] = {"type": "raw"}
    return spec


def unsettable(kind: str) -> list[str]:
    """What the option `unset` may name."""
    return list(directive_spec(kind))


def documentation(kind: str) -> Spec:
    """The documentation of :func:`directive_spec` and `unset`, as `options` of a fragment."""
    options: Spec = {}
    for name, row in TABLES[kind].rows.items():
        options[name] = {"description": _description(row), **_option(row)}
        options[name].pop("no_log", None)
    if kind in (VIRTUAL, FAILOVER):
        options["device"] = {
            "description": [
                "The device that carries O(address), unless it stands there already.",
                "A mapping with C(primary) and C(backup) where the routers' devices differ.",
            ],
            "type": "raw",
        }
    options["unset"] = {
        "description": [
            "Directives to remove from the file, so that their defaults hold again.",
        ],
        "type": "list",
        "elements": "str",
        "choices": unsettable(kind),
    }
    return {"options": options}


def _option(row: Directive) -> Spec:
    # A kind that this file does not know yet may be anything; the language reads it.
    spec: Spec = {"type": _TYPES.get(row.kind, "str" if row.kind in _TEXTS else "raw")}
    if spec["type"] == "list":
        spec["elements"] = "str"
    if d.CHOICE in (row.kind, row.item):
        spec["choices"] = [*row.choices, *row.aliases]
    if any(word in row.name for word in _SECRET_WORDS):
        spec["no_log"] = False  # the name of a file, a mask; a secret itself is never in lvs.cf
    return spec


def _description(row: Directive) -> list[str]:
    lines = [row.doc]
    if row.kind in _HINTS:
        lines.append(_HINTS[row.kind])
    if row.kind in (d.NUMBER, d.PORT) and row.low is not None and row.high is not None:
        lines.append(f"From {row.low} to {row.high}.")
    if row.aliases:
        means = ", ".join(f"V({word}) means V({value})" for word, value in row.aliases.items())
        lines.append(f"{means}.")
    if row.default is not None:
        default = str(bool(row.default)).lower() if row.kind == d.SWITCH else row.default
        lines.append(f"Where it is not written, V({default}) holds.")
    return lines
