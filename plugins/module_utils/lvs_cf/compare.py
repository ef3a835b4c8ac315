# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two configurations compared by meaning: what differs, in which block, both values.

Comments, order of blocks and directives, spelling and written-out defaults do not count, nor does
serial_no. Between the two routers of a cluster (`nodes`) device names do not count either, since
their cards may be named differently, nor do directives that nothing acts on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Union

from .config import Config, Failover, Section, Server, Virtual
from .data import NOT_MEANING, block_data, section_data
from .directives import FAILOVER, SERVER, VIRTUAL

# Names of interfaces, which belong to one machine.
_OF_ONE_NODE = ("device", "syncd_iface")

Datum = object  # a value as JSON has it: text, number, list, mapping or None


class Difference(NamedTuple):
    """One difference.

    `block` is the way to it: `("virtual web", "server one")`, empty for a global directive. A
    whole block that only one side has is said once: `directive` is empty, and `left` or `right`
    is its data, the other None. `given` tells of each side whether the directive is written there;
    where it is not, the value is a default or follows from other directives.
    """

    block: tuple[str, ...]
    directive: str
    left: Datum
    right: Datum
    given: tuple[bool, bool] = (True, True)

    @property
    def path(self) -> str:
        """Where it is, in one text: `virtual web: server one: weight`."""
        return ": ".join((*self.block, self.directive) if self.directive else self.block)


def differences(left: Config, right: Config, nodes: bool = False) -> list[Difference]:
    """Every difference in meaning. Equal digests give none; the reverse holds but for order."""
    found = list(_sections((), left.globals, right.globals, nodes))
    for kind, ours, theirs in (
        (VIRTUAL, left.virtual, right.virtual),
        (FAILOVER, left.failover, right.failover),
    ):
        found.extend(_blocks(kind, (), ours, theirs, nodes))
    return found


_Block = Union[Virtual, Failover, Server]


def _blocks(
    kind: str,
    where: tuple[str, ...],
    left: Sequence[_Block],
    right: Sequence[_Block],
    nodes: bool,
) -> Iterator[Difference]:
    ours, theirs = _named(kind, left), _named(kind, right)
    for label in dict.fromkeys((*ours, *theirs)):
        here = (*where, label)
        one, two = ours.get(label), theirs.get(label)
        if one is two:
            continue
        if one is None or two is None:
            yield Difference(here, "", _whole(one), _whole(two), (one is not None, two is not None))
            continue
        yield from _sections(here, one.settings, two.settings, nodes)
        if isinstance(one, Virtual) and isinstance(two, Virtual):
            yield from _blocks(SERVER, here, one.servers, two.servers, nodes)


def _named(kind: str, blocks: Sequence[_Block]) -> dict[str, _Block]:
    """The blocks by their labels; of those with one name the second is `virtual web (2)`."""
    found: dict[str, _Block] = {}
    count: dict[str, int] = {}
    for block in blocks:
        count[block.name] = count.get(block.name, 0) + 1
        label = f"{kind} {block.name}"
        found[label if count[block.name] == 1 else f"{label} ({count[block.name]})"] = block
    return found


def _whole(block: _Block | None) -> Datum:
    if isinstance(block, Virtual):
        return block_data(block)
    return None if block is None else {"name": block.name, **section_data(block.settings)}


def _sections(
    where: tuple[str, ...], left: Section, right: Section, nodes: bool
) -> Iterator[Difference]:
    ours, theirs = section_data(left), section_data(right)
    for key in dict.fromkeys((*ours, *theirs)):
        one, two = ours.get(key), theirs.get(key)
        row = left.table.rows.get(key)
        if nodes:
            if key in _OF_ONE_NODE or (row is not None and row.unused):
                continue
            one, two = _without_device(one), _without_device(two)
        if one != two and key not in NOT_MEANING:
            owner = "address" if key == "device" else key
            yield Difference(where, key, one, two, (left.given(owner), right.given(owner)))


def _without_device(value: Datum) -> Datum:
    if isinstance(value, dict) and "device" in value:
        return value.get("address")
    return value
