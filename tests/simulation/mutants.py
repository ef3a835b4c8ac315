# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults planted in our own code. Each must be found; a simulation that finds none proves nothing.

Those in the tables replace a cell. The others replace a piece of a method's text, which must be
there exactly once: whoever changes the code must look at its mutants too.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from piranha.pulse import classic, conversation, engine, machine, supervision
from piranha.pulse.tables import CLASSIC, TABLES, Do, Input, Next, State
from piranha.pulse.wire import Role

FINDERS = (
    *(0, 1, 2, 4, 8, 9, 13, 15, 17, 30, 33, 35, 42, 46, 49, 57, 58, 60, 64, 65, 74),
    *(107, 110, 145, 169, 181, 386, 470, 743, 871, 1515),
)
"""Seeds by which faults were found last time, played before all others to save minutes. A change of
the machine or the world may make them worthless: then the long search finds others."""

GIVES_WAY = Next(State.STANDBY, (Do.RELEASE, Do.SEND))
P, B = Role.PRIMARY, Role.BACKUP
Edit = Callable[[Next], Next]
Tables = Mapping[Role, Mapping[State, Mapping[Input, Next]]]


@dataclass(frozen=True)
class Cells:
    """Cells of the tables that do something else."""

    where: tuple[tuple[Role, State, Input], ...]
    edit: Edit
    tables: Tables = field(default_factory=lambda: TABLES)
    classic: bool = False
    """Only where heartbeats are of old."""


@dataclass(frozen=True)
class Text:
    """A method of a class, or a function of a module, with a piece of its text replaced."""

    owner: Any
    method: str
    old: str
    new: str
    classic: bool = False


Mutant = Cells | Text


def _without(*deeds: Do) -> Edit:
    return lambda cell: replace(cell, do=tuple(do for do in cell.do if do not in deeds))


def _first(deed: Do) -> Edit:
    """The deed before all others."""
    return lambda cell: replace(cell, do=(deed, *(do for do in cell.do if do is not deed)))


def _nothing(state: State) -> Edit:
    return lambda _unused: Next(state)


def _both(state: State, why: Input) -> tuple[tuple[Role, State, Input], ...]:
    return (P, state, why), (B, state, why)


MUTANTS: dict[str, Mutant] = {
    # -- the tables -----------------------------------------------------------------------------
    "the primary does not take from a standby": Cells(
        ((P, State.STANDBY, Input.PEER_STANDBY),), _nothing(State.STANDBY)
    ),
    "the standby does not take when it is silent": Cells(
        _both(State.STANDBY, Input.SILENT), _nothing(State.STANDBY)
    ),
    "a goodbye is not heeded": Cells(
        _both(State.STANDBY, Input.PEER_GONE), _nothing(State.STANDBY)
    ),
    "a partner's fault is not heeded": Cells(
        _both(State.STANDBY, Input.PEER_FAULT), _nothing(State.STANDBY)
    ),
    "the backup does not give way": Cells(
        ((B, State.ACTIVE, Input.PEER_ACTIVE),), _nothing(State.ACTIVE)
    ),
    "the primary gives way too": Cells(
        ((P, State.ACTIVE, Input.PEER_ACTIVE),), lambda _unused: GIVES_WAY
    ),
    "whoever takes does not announce": Cells(
        _both(State.STANDBY, Input.SILENT), _without(Do.ANNOUNCE)
    ),
    "the winner does not announce": Cells(
        ((P, State.CONTESTED, Input.PEER_STANDBY),), _without(Do.ANNOUNCE)
    ),
    "nothing is announced when the partner returns": Cells(
        _both(State.ACTIVE, Input.RETURNED), _without(Do.ANNOUNCE)
    ),
    "a loser does not say that it has let go": Text(
        machine.Machine, "_enter", "self.conceded = (self.conceded or self._mark) % 255 + 1", "pass"
    ),
    "a winner does not heed that the other one has let go": Text(
        machine.Machine, "heard", "self.wins += 1", "pass"
    ),
    "an unyielding partner is borne": Cells(
        ((P, State.CONTESTED, Input.UNYIELDING),), _nothing(State.CONTESTED)
    ),
    "a pause of an active one is nothing": Cells(
        _both(State.ACTIVE, Input.PAUSED), _nothing(State.ACTIVE)
    ),
    "what waited in the queue is believed": Cells(
        (*_both(State.ACTIVE, Input.PAUSED), *_both(State.STANDBY, Input.PAUSED)),
        _without(Do.DISTRUST),
    ),
    "a doubter does not give way": Cells(
        _both(State.DOUBT, Input.PEER_ACTIVE), _nothing(State.DOUBT)
    ),
    "a doubter is never sure": Cells(_both(State.DOUBT, Input.PEER_STANDBY), _nothing(State.DOUBT)),
    "a doubter lets go at a goodbye": Cells(
        _both(State.DOUBT, Input.PEER_GONE), lambda _unused: GIVES_WAY
    ),
    "who is cut off in a contest lets go": Cells(
        ((P, State.CONTESTED, Input.CUT_OFF),), lambda _unused: GIVES_WAY
    ),
    "who has no address goes on as if": Cells(
        _both(State.ACTIVE, Input.LOST), _without(Do.ACQUIRE)
    ),
    "a fault lasts for ever": Cells(_both(State.FAULT, Input.RETRY), _nothing(State.FAULT)),
    "an owner without a link stays": Cells(
        _both(State.ACTIVE, Input.UNLINKED), _nothing(State.ACTIVE)
    ),
    "the goodbye comes before the release": Cells(
        _both(State.ACTIVE, Input.STOP), _first(Do.GOODBYE)
    ),
    "no connections are handed over": Cells(
        _both(State.ACTIVE, Input.STOP), _without(Do.HAND_OVER)
    ),
    "connections that began late are forgotten": Cells(
        _both(State.ACTIVE, Input.STOP),
        lambda cell: replace(cell, do=(Do.HAND_OVER, Do.RELEASE, Do.GOODBYE)),
    ),
    "nobody says goodbye": Cells(_both(State.ACTIVE, Input.STOP), _without(Do.GOODBYE)),
    "who gives way keeps the addresses": Cells(
        ((B, State.ACTIVE, Input.PEER_ACTIVE),), _without(Do.RELEASE)
    ),
    "who yields never takes back": Cells(
        _both(State.YIELDED, Input.UNTAKEN), _nothing(State.YIELDED)
    ),
    "who yields says no goodbye": Cells(_both(State.ACTIVE, Input.SWITCH), _without(Do.GOODBYE)),
    "what is stuck is not tried again": Cells(
        _both(State.STUCK, Input.RETRY), _nothing(State.STUCK)
    ),
    "a primary that wants is not heeded": Cells(
        ((B, State.ACTIVE, Input.WANTED),), _nothing(State.ACTIVE)
    ),
    "worse health moves nothing": Cells(_both(State.ACTIVE, Input.WORSE), _nothing(State.ACTIVE)),
    "who is cut off takes over": Text(
        machine.Machine, "_silent", "if self.timing.witness and", "if False and"
    ),
    # -- times ----------------------------------------------------------------------------------
    "silence is a dead time and a half": Text(
        machine.Machine, "heard",
        "self._dead_at = now + self.timing.deadtime",
        "self._dead_at = now + 3.5 * self.timing.deadtime",
    ),
    "silence is one interval": Text(
        machine.Machine, "heard",
        "self._dead_at = now + self.timing.deadtime",
        "self._dead_at = now + self.timing.keepalive",
    ),
    "half a pause counts as none": Text(
        machine.Machine, "woke", "self.timing.deadtime / 2", "self.timing.deadtime * 4"
    ),
    "a contest lasts long": Text(
        machine.Machine, "_enter",
        "self._contest_at = now + self.timing.deadtime",
        "self._contest_at = now + 4 * self.timing.deadtime",
    ),
    "heartbeats are half as many as needed": Text(
        machine.Machine, "tick", "self._send_at + self.timing.keepalive",
        "self._send_at + 3 * self.timing.deadtime",
    ),
    # -- what is believed -------------------------------------------------------------------------
    "replays are believed": Text(
        conversation.Conversation, "_judge",
        "if known and beat.sequence <= self._partner.highest:",
        "if known and beat.sequence < 0:",
    ),
    "everything new is believed": Text(
        conversation.Conversation, "_echoes_us", "return (", "return True or ("
    ),
    "a clock's age is not looked at": Text(
        conversation.Conversation, "_speaks_now",
        "return sent >= self._floor_at and now - sent <= self._deadtime", "return True",
    ),
    "ended sessions are forgotten": Text(
        conversation.Conversation, "_close", "self._closed[session] = None", "pass"
    ),
    "a new heart begins another session": Text(
        conversation.Conversation, "resume", "self.session = session or self.session", "pass"
    ),
    "a new heart does not know the partner": Text(
        conversation.Conversation, "resume", "if memory is not None:", "if False:"
    ),
    "the old key is refused at once": Text(
        engine.Engine, "reload", "self.conversation.keys = keys",
        "self.conversation.keys = keys[:1]",
    ),
    "a primary asks without its connections": Text(
        engine.Engine, "_wants", "self.facts.connections >= BACK * partner.connections", "True"
    ),
    # -- beside a router of old -----------------------------------------------------------------
    "a backup waits for a primary that is stopped": Cells(
        ((B, State.STANDBY, Input.PEER_STANDBY),), _nothing(State.STANDBY), CLASSIC, True
    ),
    "who doubts says that it is stopped": Text(
        classic.Classic, "compose", "_SAYS.get(state, Said.STOPPED)",
        "_SAYS.get(state, Said.STOPPED) if state is not PeerState.DOUBT else Said.STOPPED",
        True,
    ),
    # -- the supervisor ---------------------------------------------------------------------------
    "nobody resigns for a silent heart": Text(
        supervision, "step", "if policy.resigns and not child.resigned:", "if False:"
    ),
    "a heart that was well waits like one that is not": Text(
        supervision, "ended", "delay = min(delay, policy.longest)", "pass"
    ),
    "a silent heart is waited for": Text(
        supervision, "give_up_at", "return child.heard + policy.silence",
        "return child.heard + 8 * policy.silence",
    ),
}


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Have the fault in the code while the block runs."""
    if isinstance(mutant, Cells):
        with _cells_replaced(mutant):
            yield
        return
    before = getattr(mutant.owner, mutant.method)
    source = textwrap.dedent(inspect.getsource(before))
    if source.count(mutant.old) != 1:
        raise LookupError(f"{mutant.method} has {mutant.old!r} {source.count(mutant.old)} times")
    names = dict(vars(inspect.getmodule(before)))
    exec(source.replace(mutant.old, mutant.new), names)  # noqa: S102 - our own text
    setattr(mutant.owner, mutant.method, names[mutant.method])
    try:
        yield
    finally:
        setattr(mutant.owner, mutant.method, before)


@contextmanager
def _cells_replaced(mutant: Cells) -> Iterator[None]:
    rows = [
        (cast("dict[Input, Next]", mutant.tables[role][state]), why)
        for role, state, why in mutant.where
    ]
    before = [row[why] for row, why in rows]
    for (row, why), cell in zip(rows, before, strict=True):
        row[why] = mutant.edit(cell)
        assert row[why] != cell, "the mutant changes nothing"
    try:
        yield
    finally:
        for (row, why), cell in zip(rows, before, strict=True):
            row[why] = cell
