# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration as YAML for an inventory, where Ansible writes lvs.cf; pure, writes no file.

Every text stands in quotes, and what a template engine would act on is marked `!unsafe`: a value
that somebody typed into the page must not run on the machine from which Ansible works.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from piranha.core.lvs_cf.config import Config
from piranha.core.lvs_cf.merge import written_data

FROM_HOSTS = frozenset({"primary", "backup", "primary_private", "backup_private", "serial_no"})
"""Directives that follow from the routers' own variables, or mean nothing."""

TEMPLATE = ("{{", "{%", "{#")
STEP = "  "


def as_yaml(config: Config) -> str:
    """Give the variables that make Ansible write this configuration."""
    data = written_data(config)
    section = data["globals"]
    if isinstance(section, Mapping):
        data["globals"] = {key: v for key, v in section.items() if key not in FROM_HOSTS}
    lines = ["---"]
    for key, value in data.items():
        if value:
            lines += _entry(f"piranha_{key}", value, "")
    return "\n".join(lines) + "\n"


def _entry(key: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield f"{indent}{key}:"
        for name, inner in value.items():
            yield from _entry(str(name), inner, indent + STEP)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        yield f"{indent}{key}:"
        for item in value:
            yield from _item(item, indent + STEP)
    else:
        yield f"{indent}{key}: {scalar(value)}"


def _item(item: object, indent: str) -> Iterator[str]:
    if not isinstance(item, Mapping) or not item:
        yield f"{indent}- {scalar(item)}"
        return
    start = f"{indent}- "
    for name, inner in item.items():
        for line in _entry(str(name), inner, indent + STEP):
            yield start + line.removeprefix(indent + STEP) if start else line
            start = ""


def scalar(value: object) -> str:
    """Give one value; a text in quotes, as JSON and YAML both read it."""
    if not isinstance(value, str):
        return json.dumps(value)
    quoted = json.dumps(value, ensure_ascii=True)
    return f"!unsafe {quoted}" if any(sign in value for sign in TEMPLATE) else quoted
