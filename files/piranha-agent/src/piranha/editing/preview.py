# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a text would mean in the place of lvs.cf: findings, differences, the kernel's table; pure.

It decides nothing about who may write; guard.py says what may not be written at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from piranha.config.diff import value_text
from piranha.core.ipvs.ipvsadm import operation_lines
from piranha.core.ipvs.model import Table
from piranha.core.ipvs.plan import plan
from piranha.core.lvs_cf.api import collector_at_rest, encode
from piranha.core.lvs_cf.compare import Difference, differences
from piranha.core.lvs_cf.config import Config
from piranha.core.lvs_cf.findings import ERROR, has_errors
from piranha.core.lvs_cf.pieces import Reader, Reading
from piranha.gui.protocol import Change, Preview
from piranha.lvsd.desired import desired
from piranha.lvsd.layout import Laid, Layout, LayoutError, ServerId, layout
from piranha.nanny.verdict import State, Verdict

from .guard import managed_by_ansible, refusals
from .inventory import as_yaml
from .textdiff import unified

MOST_LINES = 20_000
"""Lines of a difference of texts, and of operations, that are shown."""

SUPPOSED = "supposes that every server that is checked is well, and that operators ordered nothing"
UNCHANGED = "nothing changes in the kernel's table"
NO_ERRORS_FIRST = "correct the errors first; a text with errors has no meaning"
FAILOVER = "failover services have no entries in the kernel's table"


@dataclass(frozen=True)
class Grounds:
    """What a preview needs to know besides the two texts.

    choice: programs that may be chosen; scripts: their folder. addresses: what names stand for.
    """

    choice: Collection[str] = ()
    scripts: str = ""
    addresses: Mapping[str, str] | None = None
    cluster: str = ""


def digest_of(text: str) -> str:
    """Give the digest by which page and editor mean the same text."""
    return hashlib.sha256(encode(text)).hexdigest()


class Memory:
    """What earlier previews have read and laid out; a block that is as it was costs nothing again.

    For one preview at a time.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.reader, self.laid = Reader(), Laid()


def preview(
    before: str, after: str, grounds: Grounds, *, conflict: bool, memory: Memory | None = None
) -> Preview:
    """Say all there is to say of `after` in the place of `before`."""
    with collector_at_rest():  # it would look at the whole status, which the editor keeps, too
        return _preview(before, after, grounds, conflict, memory or Memory())


def _preview(before: str, after: str, grounds: Grounds, conflict: bool, memory: Memory) -> Preview:
    # One reader: what stands in both texts is read once, and is the same objects in both.
    old, new = memory.reader.load(before), memory.reader.load(after)
    errors = [one for one in new.findings if one.severity == ERROR]
    refused: list[str] = []
    found: list[Difference] = []
    if not errors:
        refused = refusals(old.config, new.config, grounds.choice, grounds.scripts)
        found = differences(old.config, new.config)
    lines, note = table_change(old, new, grounds.addresses, memory.laid)
    managed = managed_by_ansible(before)
    return Preview(
        findings=[one._asdict() for one in new.findings],
        errors=len(errors),
        text_diff=text_diff(before, after),
        meaning=[change(one) for one in found],
        table=lines,
        table_note=note,
        refused=refused,
        conflict=conflict,
        yaml=as_yaml(new.config) if managed and found else "",
    )


def text_diff(before: str, after: str) -> list[str]:
    """The difference of the texts as lines of a unified diff, without its two lines of head."""
    return list(islice(unified(before.splitlines(), after.splitlines()), MOST_LINES))


def change(found: Difference) -> Change:
    """Give one difference in meaning in words."""
    before = None if not _there(found, 0) else value_text(found.left)
    after = None if not _there(found, 1) else value_text(found.right)
    if found.directive:
        words = f"{found.path}: {value_text(found.left)} becomes {value_text(found.right)}"
    else:
        before, after = None, None
        words = f"{found.path}: {'is new' if found.given[1] else 'goes'}"
    return Change(list(found.block), found.directive, before, after, words)


def _there(found: Difference, side: int) -> bool:
    return found.directive != "" or found.given[side]


def table_change(
    old: Reading, new: Reading, addresses: Mapping[str, str] | None, laid: Laid
) -> tuple[list[str], str]:
    """What would change in the kernel's table, as ipvsadm's lines, and a note about them.

    Only services of blocks that are not the same object in both are planned.
    """
    if has_errors(new.findings):
        return [], NO_ERRORS_FIRST
    if new.config.globals["service"] == "fos":
        return [], FAILOVER
    try:
        after = _laid(new.config, addresses, laid)
        whole = not has_errors(old.findings)
        before = _laid(old.config, addresses, laid) if whole else Layout()
    except LayoutError as why:
        return [], str(why)
    now, then = _only(before, after), _only(after, before)
    lines = operation_lines(plan(then, now, owned=now.keys()))
    return lines[:MOST_LINES], SUPPOSED if lines else UNCHANGED


def _laid(config: Config, addresses: Mapping[str, str] | None, laid: Laid) -> Layout:
    if config.globals["service"] != "lvs":
        return Layout()
    return layout(config, addresses, laid)


class _Well(Mapping[ServerId, Verdict]):
    """Every server is up."""

    _verdict = Verdict(State.UP, 0.0, "")

    def __getitem__(self, key: ServerId) -> Verdict:
        return self._verdict

    def __iter__(self) -> Iterator[ServerId]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _only(laid: Layout, other: Layout) -> Table:
    """The services that another layout has not, or has otherwise."""
    known = {id(service) for service in other.virtual}
    keys = {service.key for service in laid.virtual if id(service) not in known}
    return desired(laid, _Well(), only=keys)
