# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a router's openings in the administrator's own nftables chains, and its masquerading.

A packet that one chain lets pass may still be dropped by another, so a table of our own could
open nothing: the rules stand at the head of the chains that exist. Each has the comment
`piranha:DIGEST`, by which they are found again, compared and removed, and nothing else is touched.
Masquerading has a table of its own. Each change is one transaction: no packet meets half of it.

Beside firewalld, which opens by itself (piranha_firewalld.py), the table has another chain.
firewalld drops what connection tracking cannot place before any rule of anybody's counts, and
tracking cannot place a service of IPVS: of a connection it sees one half, or none but the first
packet. So these packets are not tracked.

    piranha-firewall apply|remove
    piranha-firewall look --wanted JSON         as JSON, changes nothing

The plan comes from the role piranha_router; what has to pass, from the filter piranha.lvs.openings.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import json
import subprocess
import sys
import typing as t
from pathlib import Path

PLAN = "/etc/piranha/firewall.json"
TABLE = "inet piranha_router"
MARK = "piranha:"
HOOKS = ("input", "forward")
CHAIN_WORDS = 3
MISSING = "No such file or directory"

Plan = t.Mapping[str, t.Any]


class Trouble(Exception):
    """What went wrong, in one sentence."""


class Found(t.NamedTuple):
    """What is there of ours: handles and comments in each chain; comments in our own table.

    A chain or table that does not exist is None.
    """

    rules: dict[str, list[tuple[int, str]] | None]
    table: list[str] | None


def addresses(field: str, names: t.Sequence[str]) -> list[str]:
    """Give the match on a field (saddr, daddr) for each family of the addresses or networks."""
    found = []
    for version, family in ((4, "ip"), (6, "ip6")):
        nets = {name: ipaddress.ip_network(name, strict=False) for name in names}
        mine = [name for name, net in nets.items() if net.version == version]
        if mine:
            found.append(f"{family} {field} {{ {', '.join(mine)} }}")
    return found


def rules(opening: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Give an opening as the rules of nft(8), one for each family."""
    end = "sport" if opening["hook"] == "forward" else "dport"
    port, protocol = opening["port"], opening["protocol"]
    which = f"{protocol} {end} {port}" if port else f"meta l4proto {protocol}"
    sources = addresses("saddr", opening["from"]) or [""]
    targets = addresses("daddr", [opening["to"]] if opening["to"] else []) or [""]
    for source in sources:
        for target in targets:
            yield " ".join(word for word in (source, target, which, "accept") if word)


def by_chain(plan: Plan) -> dict[str, list[str]]:
    """Give the wanted rules of each chain, in their order."""
    found: dict[str, list[str]] = {plan["chains"][hook]: [] for hook in HOOKS}
    for opening in plan["openings"]:
        found[plan["chains"][opening["hook"]]] += rules(opening)
    return found


def masquerade(networks: t.Sequence[str]) -> list[str]:
    """Give the rules that give packets from real servers to the outside the router's address."""
    found = []
    for text in networks:
        family = "ip" if ipaddress.ip_network(text).version == 4 else "ip6"  # noqa: PLR2004
        found.append(f"{family} saddr {text} {family} daddr != {text} masquerade")
    return found


def untracked(plan: Plan) -> list[str]:
    """Give the rules that keep the services' packets, and the answers to them, out of tracking."""
    found = []
    for opening in plan.get("untracked", []):
        # Without an address, or a port of the real servers, it would be everybody's packets.
        if not opening["to"] and not (opening["from"] and opening["port"]):
            continue
        found += [f"{rule.removesuffix(' accept')} notrack" for rule in rules(opening)]
    return found


def own_table(plan: Plan, mark: str) -> str:
    """Give our own table, empty where there is nothing for it."""
    chains = []
    hidden = masquerade(plan["masquerade"])
    for name, kind, body in (
        ("prerouting", "type filter hook prerouting priority raw", untracked(plan)),
        ("postrouting", "type nat hook postrouting priority srcnat", hidden),
    ):
        if body:
            lines = "\n".join(f'    {rule} comment "{mark}"' for rule in body)
            chains.append(f"  chain {name} {{\n    {kind}; policy accept;\n{lines}\n  }}\n")
    return f"table {TABLE} {{\n{''.join(chains)}}}" if chains else ""


def comment(plan: Plan) -> str:
    """Give the comment by which the rules of this very plan are known."""
    mine: list[t.Any] = [by_chain(plan), masquerade(plan["masquerade"])]
    mine += [untracked(plan)] if untracked(plan) else []
    text = json.dumps(mine, sort_keys=True)
    return MARK + hashlib.sha256(text.encode()).hexdigest()[:12]


def script(plan: Plan | None, found: Found) -> str:
    """Give the input of `nft -f -` that leads from what is there to the plan (None: to nothing)."""
    lines = [
        f"delete rule {chain} handle {handle}"
        for chain, there in found.rules.items()
        for handle, _comment in there or []
    ]
    if found.table is not None:
        lines.append(f"delete table {TABLE}")
    if plan is not None:
        mark = comment(plan)
        for chain, wanted in by_chain(plan).items():
            if found.rules.get(chain) is None:
                continue
            # Each goes to the head of the chain, so the last is first.
            lines += [f'insert rule {chain} {rule} comment "{mark}"' for rule in reversed(wanted)]
        if own_table(plan, mark):
            lines.append(own_table(plan, mark))
    return "".join(f"{line}\n" for line in lines)


def is_right(plan: Plan | None, found: Found) -> bool:
    """Tell whether what is there is what the plan wants."""
    there = {
        chain: [text for _handle, text in rows or []] for chain, rows in found.rules.items()
    }
    if plan is None:
        return not any(there.values()) and found.table is None
    mark = comment(plan)
    for chain, wanted in by_chain(plan).items():
        if found.rules.get(chain) is not None and there[chain] != [mark] * len(wanted):
            return False
    mine = [mark] * (len(untracked(plan)) + len(plan["masquerade"]))
    return found.table == (mine or None)


def nft(*words: str, text: str = "") -> str:
    """Run nft(8) and give its output; Trouble with its complaint where it fails."""
    try:
        done = subprocess.run(
            ["nft", *words], input=text, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Trouble(f"nft {' '.join(words)}: {problem}") from problem
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["without a word"]
        raise Trouble(f"nft {' '.join(words)} failed: {said[0]}")
    return done.stdout


def listed(*words: str) -> list[t.Any] | None:
    """Give what `nft -j list` lists, None where there is no such thing."""
    try:
        return list(json.loads(nft("-j", "list", *words))["nftables"])
    except Trouble as problem:
        if MISSING in str(problem):
            return None
        raise


def look(chains: t.Iterable[str]) -> Found:
    """Look at the kernel."""
    there: dict[str, list[tuple[int, str]] | None] = {}
    for chain in dict.fromkeys(chains):
        if len(chain.split()) != CHAIN_WORDS:
            raise Trouble(f"'{chain}' is no chain; name family, table and chain: inet filter input")
        rows = listed("chain", *chain.split())
        there[chain] = None if rows is None else [
            (row["rule"]["handle"], row["rule"]["comment"])
            for row in rows
            if row.get("rule", {}).get("comment", "").startswith(MARK)
        ]
    table = listed("table", *TABLE.split())
    if table is None:
        return Found(there, None)
    return Found(there, [row["rule"].get("comment", "") for row in table if "rule" in row])


def main() -> int:
    """Run the command: 0 done, 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description="A router's openings in nftables.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply")
    commands.add_parser("remove")
    looking = commands.add_parser("look")
    looking.add_argument("--wanted", type=json.loads, required=True, help="the plan as JSON")
    options = parser.parse_args()
    try:
        if options.command == "look":
            plan = options.wanted
        else:
            plan = json.loads(Path(PLAN).read_text(encoding="utf-8"))
        found = look(plan["chains"][hook] for hook in HOOKS)
        needed = options.command != "remove" and by_chain(plan)[plan["chains"]["input"]]
        if needed and found.rules[plan["chains"]["input"]] is None:
            raise Trouble(
                f"there is no chain '{plan['chains']['input']}' to open something in; name the one "
                "that filters input in piranha_router_firewall_chains"
            )
        wanted = None if options.command == "remove" else plan
        if options.command == "look":
            json.dump({"right": is_right(plan, found), "script": script(plan, found)}, sys.stdout)
        elif not is_right(wanted, found):
            nft("-f", "-", text=script(wanted, found))
    except (Trouble, OSError, ValueError, KeyError) as problem:
        sys.stderr.write(f"piranha-firewall: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
