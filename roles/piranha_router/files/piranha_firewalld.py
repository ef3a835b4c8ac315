# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a router's openings in firewalld, as two policies of our own, now and at boot alike.

Policies, not zones: what has to pass does not depend on the zone that an interface happens to be
in, and a policy of ours can go without touching a zone of the administrator's. What firewalld is
to know at its next start stands in /etc/firewalld/policies, written whole; what it does now is
asked and told by firewall-cmd(1). A reload makes firewalld forget what somebody told it for now
only, so that there is one only where a policy comes or goes; rules come and go without.

    python3 - look|apply --wanted JSON          as JSON: is it right, what would be or was done
    python3 - remove

The role piranha_router gives it to Python's standard input; nothing of it stays on the machine,
since firewalld itself keeps what it was told. What has to pass comes from the filter
piranha.lvs.openings.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import subprocess
import sys
import typing as t
from pathlib import Path
from xml.sax.saxutils import quoteattr

POLICIES = "/etc/firewalld/policies"
# Name -> where packets come from and go to, as firewalld calls it.
ENDS = {"piranha-input": ("ANY", "HOST"), "piranha-forward": ("ANY", "ANY")}
PRIORITY = -10  # before those that nobody has given a number (-1), and before the zones
NOT_THERE = "INVALID_POLICY"
IPV4 = 4

Plan = t.Mapping[str, t.Any]


class Trouble(Exception):
    """What went wrong, in one sentence."""


class Rule(t.NamedTuple):
    """A rich rule: parts in firewalld's order, each an element and its attributes."""

    family: str
    parts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    def __str__(self) -> str:
        """As firewall-cmd takes it and prints it."""
        words = [f'rule family="{self.family}"']
        for element, attributes in self.parts:
            words.append(element)
            words += [
                "NOT" if name == "invert" else f'{name}="{value}"' for name, value in attributes
            ]
        return " ".join(words)

    def xml(self) -> str:
        """As firewalld.policy(5) has it."""
        lines = [f"  <rule family={quoteattr(self.family)}>"]
        for element, attributes in self.parts:
            words = "".join(f" {name}={quoteattr(value)}" for name, value in attributes)
            lines.append(f"    <{element}{words}/>")
        return "\n".join([*lines, "  </rule>"])


def family(address: str) -> str:
    """Give firewalld's name of an address's or a network's family."""
    return "ipv4" if ipaddress.ip_network(address).version == IPV4 else "ipv6"


def of_opening(opening: t.Mapping[str, t.Any]) -> t.Iterator[Rule]:
    """Give an opening as rules, one for each address and family: a rule takes one address."""
    port, protocol = str(opening["port"]), opening["protocol"]
    what: tuple[str, tuple[tuple[str, str], ...]] = ("protocol", (("value", protocol),))
    if opening["port"]:
        element = "source-port" if opening["hook"] == "forward" else "port"
        what = (element, (("port", port), ("protocol", protocol)))
    targets = [opening["to"]] if opening["to"] else []
    for source in opening["from"] or [None]:
        for target in targets or [None]:
            kinds = {family(each) for each in (source, target) if each} or {"ipv4", "ipv6"}
            ends = [("source", source), ("destination", target)]
            for kind in sorted(kinds) if len(kinds) == 1 or not (source or target) else ():
                parts = [(name, (("address", each),)) for name, each in ends if each]
                yield Rule(kind, (*parts, what, ("accept", ())))


def of_network(network: str) -> t.Iterator[Rule]:
    """Give the rules by which real servers reach the outside by the router's address."""
    kind, source = family(network), ("source", (("address", network),))
    beyond = ("destination", (("invert", "True"), ("address", network)))
    yield Rule(kind, (source, beyond, ("masquerade", ())))
    yield Rule(kind, (source, beyond, ("accept", ())))


def policies(plan: Plan) -> dict[str, list[Rule]]:
    """Give the rules of each policy that has any, each once."""
    found: dict[str, dict[Rule, None]] = {}
    for opening in plan["openings"]:
        for rule in of_opening(opening):
            found.setdefault(f"piranha-{opening['hook']}", {})[rule] = None
    for network in plan["masquerade"]:
        for rule in of_network(network):
            found.setdefault("piranha-forward", {})[rule] = None
    return {name: list(rules) for name, rules in found.items()}


def text_of(name: str, rules: t.Sequence[Rule]) -> str:
    """Give the file of a policy."""
    source, target = ENDS[name]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="utf-8"?>',
            f'<policy priority="{PRIORITY}" target="CONTINUE">',
            "  <short>Linux Virtual Server</short>",
            "  <description>Written by the role piranha.lvs.piranha_router.</description>",
            f"  <ingress-zone name={quoteattr(source)}/>",
            f"  <egress-zone name={quoteattr(target)}/>",
            *(rule.xml() for rule in rules),
            "</policy>\n",
        ]
    )


class Steps(t.NamedTuple):
    """What leads from what is to what shall be."""

    write: dict[str, str]  # files by the policy's name
    remove: list[str]  # names of policies
    reload: bool
    calls: list[list[str]]  # arguments of firewall-cmd, for what firewalld does now

    def said(self) -> list[str]:
        """As sentences."""
        return [
            *(f"write {POLICIES}/{name}.xml" for name in self.write),
            *(f"remove {POLICIES}/{name}.xml" for name in self.remove),
            *(["firewall-cmd --reload"] if self.reload else []),
            *(" ".join(["firewall-cmd", *call]) for call in self.calls),
        ]


def steps(
    wanted: t.Mapping[str, t.Sequence[Rule]],
    files: t.Mapping[str, str | None],
    now: t.Mapping[str, t.Collection[str] | None],
) -> Steps:
    """Decide. files: what each policy's file says; now: its rules in firewalld, None: no policy."""
    write = {name: text_of(name, rules) for name, rules in wanted.items()}
    todo = Steps(
        {name: text for name, text in write.items() if files[name] != text},
        [name for name in ENDS if name not in wanted and files[name] is not None],
        any((now[name] is None) != (name not in wanted) for name in ENDS),
        [],
    )
    if todo.reload:
        return todo
    for name, rules in wanted.items():
        there, texts = set(now[name] or ()), [str(rule) for rule in rules]
        for verb, some in (
            ("remove", sorted(there - set(texts))),
            ("add", [text for text in texts if text not in there]),
        ):
            if some:
                words = [f"--{verb}-rich-rule={text}" for text in some]
                todo.calls.append([f"--policy={name}", *words])
    return todo


# The machine.


def firewall_cmd(*words: str) -> str:
    """Run firewall-cmd(1) and give its output; Trouble with its complaint where it fails."""
    try:
        done = subprocess.run(
            ["firewall-cmd", *words], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError as problem:
        raise Trouble(
            "there is no firewall-cmd; install firewalld (piranha_router_packages), or set "
            "piranha_router_firewall to what this machine has"
        ) from problem
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Trouble(f"firewall-cmd {' '.join(words)}: {problem}") from problem
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["without a word"]
        if "not running" in said[0] or "Failed to connect" in said[0]:
            raise Trouble(
                "firewalld does not run; start it, or set piranha_router_firewall to what "
                "filters on this machine"
            )
        raise Trouble(f"firewall-cmd {' '.join(words)} failed: {said[0]}")
    return done.stdout


def rules_now(name: str) -> list[str] | None:
    """Give the rules of a policy that firewalld has now, None where it has no such policy."""
    try:
        return firewall_cmd(f"--policy={name}", "--list-rich-rules").splitlines()
    except Trouble as problem:
        if NOT_THERE in str(problem):
            return None
        raise


def file_of(name: str) -> Path:
    """Give the file of a policy."""
    return Path(POLICIES, f"{name}.xml")


def read(name: str) -> str | None:
    """Give what is in the file of a policy."""
    try:
        return file_of(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def look(plan: Plan) -> Steps:
    """Look at the machine. A question takes half a second; only what may be there is asked for."""
    wanted, files = policies(plan), {each: read(each) for each in ENDS}
    known = {each: each in wanted or files[each] is not None for each in ENDS}
    return steps(wanted, files, {each: rules_now(each) if known[each] else None for each in ENDS})


def carry_out(todo: Steps) -> None:
    """Do it. Files first: a reload reads them, and so does the next start after an interruption."""
    for name, text in todo.write.items():
        new = file_of(name).with_name(f".{name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o644)
        new.replace(file_of(name))
    for name in todo.remove:
        file_of(name).unlink(missing_ok=True)
    if todo.reload:
        firewall_cmd("--reload")
    for call in todo.calls:
        firewall_cmd(*call)


def remove() -> list[str]:
    """Take everything back; where firewalld does not run, the files are all that there is."""
    mine = [name for name in ENDS if read(name) is not None]
    try:
        todo = look({"openings": [], "masquerade": []})
    except Trouble:
        todo = Steps({}, mine, False, [])
    carry_out(todo)
    return todo.said()


def main() -> int:
    """Run the command: 0 done, 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description="A router's openings in firewalld.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("look", "apply"):
        command = commands.add_parser(name)
        command.add_argument("--wanted", type=json.loads, required=True, help="the plan as JSON")
    commands.add_parser("remove")
    options = parser.parse_args()
    try:
        if options.command == "remove":
            said = remove()
        else:
            todo = look(options.wanted)
            said = todo.said()
            if options.command == "apply":
                carry_out(todo)
        json.dump({"right": not said, "steps": said}, sys.stdout)
    except (Trouble, OSError, ValueError, KeyError) as problem:
        sys.stderr.write(f"firewalld: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
