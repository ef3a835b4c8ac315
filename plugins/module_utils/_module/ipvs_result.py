# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules about the IPVS table return: operations as changes, commands and a diff.

Private to this collection. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..ipvs.data import server_data, service_data
from ..ipvs.ipvsadm import operation_lines, table_lines
from ..ipvs.model import Server, Service, ServiceKey, Table
from ..ipvs.plan import Kind, Operation

Data = dict[str, Any]


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Data, Data]:
    """The parts of two mappings with the same keys in which they differ."""
    names = sorted(name for name in before if before[name] != after[name])
    return {name: before[name] for name in names}, {name: after[name] for name in names}


def _subject(subject: Service | Server | None) -> Data | None:
    if subject is None:
        return None
    return server_data(subject) if isinstance(subject, Server) else service_data(subject)


def changes(operations: Iterable[Operation]) -> list[Data]:
    """The operations as data, in their order."""
    told = []
    for operation in operations:
        subject = operation.subject
        before, after = _subject(operation.before), _subject(operation.after)
        if before is not None and after is not None:
            before, after = differing(before, after)
        told.append(
            {
                "operation": str(operation.kind),
                "service": str(operation.service),
                "server": str(subject.key) if isinstance(subject, Server) else None,
                "before": before,
                "after": after,
            }
        )
    return told


def commands(operations: Iterable[Operation]) -> list[str]:
    """The operations as ipvsadm commands, in their order."""
    return operation_lines(operations)


def diff(operations: Iterable[Operation], actual: Table) -> dict[str, str]:
    """Before and after of the lines that differ, sorted by service and server; no others."""
    before: list[tuple[tuple[Any, ...], str]] = []
    after: list[tuple[tuple[Any, ...], str]] = []
    for operation in operations:
        if operation.kind is Kind.DELETE_SERVICE:
            lines = table_lines(actual.only([operation.service]))
            before += [((operation.service, number), line) for number, line in enumerate(lines)]
            continue
        for value, told in ((operation.before, before), (operation.after, after)):
            if value is not None:
                place = (operation.service, 0 if isinstance(value, Service) else 1, value.key)
                told.append((place, _line(operation.service, value)))
    return {"before": _text(before), "after": _text(after)}


def _line(service: ServiceKey, value: Service | Server) -> str:
    kind = Kind.ADD_SERVICE if isinstance(value, Service) else Kind.ADD_SERVER
    (line,) = operation_lines([Operation(kind, service, None, value)], program="")
    return line


def _text(lines: list[tuple[tuple[Any, ...], str]]) -> str:
    return "".join(f"{line}\n" for _place, line in sorted(lines))
