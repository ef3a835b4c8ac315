# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules about lvs.cf make of a file: its text and a task's options to a new text.

Private to this collection. Pure: reads and writes nothing, so that check mode, diff and a real
run see the same. lvs_cf_file.py is the shell around it; the language is in module_utils/lvs_cf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..lvs_cf.api import Built, Loaded, digest, from_data, load, write
from ..lvs_cf.config import Config
from ..lvs_cf.directives import CLASSIC, EXTENDED, FAILOVER, GLOBAL, SERVER, TABLES, VIRTUAL
from ..lvs_cf.edit import bring
from ..lvs_cf.findings import WARNING, Finding
from ..lvs_cf.merge import (
    ABSENT,
    LABELS,
    MERGED,
    OVERRIDDEN,
    PARTS,
    REPLACED,
    Ambiguous,
    Change,
    differences,
    find,
    merge,
    without_server,
    written_data,
)

Options = Mapping[str, object]
DEVICE = "device"  # the key beside `address` of virtual servers and failover services
PRESENT = "present"
_SWITCHES = ("true", "false", "yes", "no", "on", "off")


@dataclass
class Plan:
    """What shall become of the file. `text` is None for no file; with `refused` nothing happens."""

    text: str | None
    before: object = None
    after: object = None
    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    digest: str | None = None
    refused: str = ""


class Refused(Exception):
    """What a task asks for cannot be; one sentence."""


def plan_file(options: Options, present: str | None) -> Plan:
    """The module lvs_cf: whole files, or several parts at once."""
    state = options["state"]
    data = {name: options[name] for name in _parts() if options.get(name) is not None}
    try:
        if options["rewrite"] and state != OVERRIDDEN:
            raise Refused(f"`rewrite` goes with `state: {OVERRIDDEN}` only, not with `{state}`")
        if options["whole_file"] and (state != ABSENT or data):
            raise Refused(f"`whole_file` goes with `state: {ABSENT}` alone; it removes the file")
        if state == ABSENT and not data and not options["whole_file"]:
            raise Refused(
                f"`state: {ABSENT}` has to be told what to remove: give {', '.join(_parts())}, "
                "or `whole_file: true` to remove the file itself"
            )
        if state in (MERGED, REPLACED) and not data:
            raise Refused(f"`state: {state}` needs one of {', '.join(_parts())}")
    except Refused as error:
        return Plan(present, refused=str(error))
    path = str(options["path"])
    if options["whole_file"]:
        return _no_file(present, path)
    if state == OVERRIDDEN and (present is None or options["rewrite"]):
        return _written_whole(options, data, present)

    def decide(config: Config) -> Built:
        built = from_data(data) if state == OVERRIDDEN else merge(config, data, str(state))
        return built._replace(config=config) if built.errors else built

    return _edited(options, present, decide, dict)


def plan_object(options: Options, present: str | None, kind: str) -> Plan:
    """The modules for one object: the global directives, a virtual server, and so on."""
    names = [str(options[key]) for key in ("virtual_server", "name") if options.get(key)]
    known = [*TABLES[kind].rows, *((DEVICE,) if kind in (VIRTUAL, FAILOVER) else ())]
    item = {key: options[key] for key in known if options.get(key) is not None}
    state, path = str(options["state"]), str(options["path"])
    if kind == GLOBAL and str(item.get("backup")).lower() in _SWITCHES:
        sentence = "`backup` is the backup router's address here; `backup_copy` keeps a copy"
        return Plan(present, refused=sentence)
    unset = options.get("unset")
    for key in unset if isinstance(unset, list) else ():
        if key in item:
            return Plan(present, refused=f"`{key}` is given and in `unset` too; choose one")
        item[str(key)] = None

    def decide(config: Config) -> Built:
        if kind == SERVER and state == PRESENT:
            _demand_virtual(config, names[0], path)
        if kind == SERVER and state == ABSENT:
            return Built(without_server(config, *names), [])
        if kind == GLOBAL:
            return _with_paths(merge(config, {PARTS[GLOBAL]: item}, _state(state)), "globals.")
        inner = {"name": names[-1], **item}
        if kind == SERVER:
            block = {"name": names[0], PARTS[SERVER]: [inner]}
            built = merge(config, {PARTS[VIRTUAL]: [block]}, MERGED)
            return _with_paths(built, f"{PARTS[VIRTUAL]}[0].", f"{PARTS[SERVER]}[0].")
        wanted = {"name": names[0]} if state == ABSENT else inner
        built = merge(config, {PARTS[kind]: [wanted]}, _state(state))
        return _with_paths(built, f"{PARTS[kind]}[0].")

    def part(data: Mapping[str, object]) -> object:
        if kind == GLOBAL:
            return data[PARTS[GLOBAL]]
        return find(data, VIRTUAL if kind == SERVER else kind, *names)

    return _edited({**options, "header": None}, present, decide, part)


def finding_data(found: Finding) -> dict[str, object]:
    """A finding as modules and filters return it."""
    return {
        "code": found.code,
        "severity": found.severity,
        "line": found.line or None,
        "column": found.column or None,
        "path": found.path or None,
        "message": found.message,
        "remedy": found.remedy,
    }


def dialect_of(options: Options) -> str:
    """The dialect that a task's option `classic` asks for."""
    return CLASSIC if options["classic"] else EXTENDED


def _parts() -> tuple[str, ...]:
    return PARTS[GLOBAL], PARTS[VIRTUAL], PARTS[FAILOVER]


def _state(state: str) -> str:
    return MERGED if state == PRESENT else state


def _demand_virtual(config: Config, name: str, path: str) -> None:
    names = [block.name for block in config.virtual]
    if name not in names:
        there = f"it has {', '.join(names)}" if names else "it has none"
        raise Refused(
            f"{path} has no {LABELS[VIRTUAL]} `{name}` ({there}); "
            "add it first, with lvs_cf_virtual_server"
        )


def _with_paths(built: Built, *prefixes: str) -> Built:
    """The findings with the names of options instead of paths in data that nobody has written."""
    findings = []
    for found in built.findings:
        path = found.path
        for prefix in prefixes:
            path = path[len(prefix) :] if path.startswith(prefix) else path
        findings.append(found._replace(path=path))
    return Built(built.config, findings)


def _no_file(present: str | None, path: str) -> Plan:
    if present is None:
        return Plan(None)
    before = written_data(load(present, path).config)
    return Plan(None, before, None, differences(before, {}))


def _written_whole(options: Options, data: Mapping[str, object], present: str | None) -> Plan:
    """The file in the library's own layout, whatever is there."""
    path = str(options["path"])
    built = from_data(data)
    before = None if present is None else written_data(load(present, path).config)
    plan = Plan(present, before, before, findings=built.findings)
    if built.errors:
        plan.refused = _refusal(path, (found.format() for found in built.errors))
        return plan
    header = options.get("header")
    text = write(built.config, header.splitlines() if isinstance(header, str) else [])
    written = load(
        text, path, dialect_of(options)
    )  # what we write must read back; a header cannot break it either
    if written.errors:
        plan.findings = written.findings
        plan.refused = _refusal(path, _with_lines(written, text))
        return plan
    plan.warnings = [found.format() for found in built.findings if found.severity == WARNING]
    return _done(plan, text, written, before or {}, dict)


def _edited(
    options: Options,
    present: str | None,
    decide: Callable[[Config], Built],
    part: Callable[[Mapping[str, object]], object],
) -> Plan:
    """The present text with as few lines changed as the decision needs."""
    path = str(options["path"])
    dialect = dialect_of(options)
    loaded = load(present or "", path, dialect)
    plan = Plan(present, findings=loaded.findings)
    before = written_data(loaded.config) if present is not None else {}
    try:
        built = decide(loaded.config)
    except (Ambiguous, Refused) as error:
        plan.refused = str(error)
        return plan
    if built.errors:
        plan.findings = built.findings
        plan.refused = _refusal(path, (found.format() for found in built.errors))
        return plan
    if present is None and written_data(built.config) == written_data(Config()):
        return Plan(None)  # nothing to remove from a file that is not there
    if present is None:
        header = options.get("header")
        text = write(built.config, header.splitlines() if isinstance(header, str) else [])
    else:
        bring(loaded.document, built.config)
        text = loaded.document.text()
    after = load(text, path, dialect)
    notes = [found for found in built.findings if found.code.startswith("W2")]
    plan.findings = [*notes, *after.findings]
    if after.errors:
        plan.refused = _refusal(path, _with_lines(after, text))
        return plan
    if written_data(after.config) != written_data(built.config):
        plan.refused = f"{path} could not be edited and was left as it is; please report this fault"
        return plan
    known = {(found.code, found.message) for found in loaded.findings}
    plan.warnings = [found.format() for found in notes]
    plan.warnings += [
        found.format(path)
        for found in after.findings
        if found.severity == WARNING and (found.code, found.message) not in known
    ]
    if present is not None:
        plan.before = part(before)
    return _done(plan, text, after, before, part)


def _done(
    plan: Plan,
    text: str,
    after: Loaded,
    before: Mapping[str, object],
    part: Callable[[Mapping[str, object]], object],
) -> Plan:
    whole = written_data(after.config)
    plan.changes = differences(before, whole)
    plan.text = text
    plan.after = part(whole)
    plan.digest = digest(after.config)
    return plan


def _refusal(path: str, reasons: Iterable[str]) -> str:
    return "\n".join([f"{path} would not be valid and was left as it is:", *reasons])


def _with_lines(loaded: Loaded, text: str) -> Iterable[str]:
    """The errors of a text that nobody will see, each with its line."""
    lines = [line.raw for line in loaded.document.root.lines()]
    for found in loaded.errors:
        yield found.format(loaded.name)
        if found.line:
            yield f"    {lines[found.line - 1].strip()}"
