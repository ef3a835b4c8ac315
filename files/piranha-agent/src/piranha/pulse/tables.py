# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the takeover: states, inputs, and what each input does in each state. Only data.

machine.py turns times and heartbeats into these inputs; docs/takeover.md is drawn from here.

Rules behind the tables:

- Two that hear each other and are both standby: the primary becomes active.
- Silence for a dead time, or a goodbye: the standby takes over. No automatic fail-back.
- Two active ones: the backup lets go at once; the primary stays, and announces the addresses
  again when the backup has let go. Has it not within a dead time, then it cannot hear us (a
  cut in one direction), and the one that knows, the primary, gives way.
- Silence counts from when a link first carries traffic, and only while we were running: a pause
  that is too short to matter otherwise puts the end of the partner's dead time off by its length.
- A pause of half a dead time or more while active (the partner may have taken over, our
  supervisor may have resigned for us): keep the addresses, since most often nobody took them,
  but be in DOUBT: believe nothing said before (new session), look what the kernel holds, and
  give way to a partner that is active, whatever the roles. The answer takes one round trip.
- An adopted address is not announced again: nobody else had it.
- A router of which an interface of the virtual addresses has lost its link takes nothing, and
  lets go as soon as it knows of a partner that can take over, or has. Without one it keeps what
  it has: nobody else serves, and the other interfaces may still be of use.
- Whoever is active announces the addresses again when it hears that the partner had them
  meanwhile, and when it hears a partner that was silent, which may have had them. Whoever lets go
  while the partner may have them too counts it, and says the count: so the other one knows that it
  has won, and runs its commands again, also where it never heard that there were two.
- On request (of an operator; of a primary that wants them back; where the partner can serve more)
  the addresses go to the partner as at a stop, connections first; who has let go stays, speaks on
  in another session, and takes them back if the partner has not taken them within a dead time.
- Addresses that the kernel does not let go of are still held: nothing else is said (not standby,
  no goodbye), and letting go is tried again. Whoever wanted to yield stays active.
- A standby that hears neither its partner nor its witness is the one that is cut off: it waits.
- Whoever is asked to stop hands its connections over before it lets go of the addresses, since a
  packet that comes before its connection is answered with a reset; and those that began meanwhile
  once it has let go, before the goodbye.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from .wire import PeerState, Role


class State(enum.Enum):
    """What this router is."""

    NEW = "new"
    STANDBY = "standby"
    ACTIVE = "active"
    CONTESTED = "contested"
    """Active, while the partner says it is active as well."""
    DOUBT = "doubt"
    FAULT = "fault"
    """Not able to hold the addresses; the partner may, we try again later."""
    YIELDED = "yielded"
    """Has let go so that the partner takes over, which it has not done yet."""
    STUCK = "stuck"
    """Is to hold none of the addresses, but the kernel did not let all of them go."""
    STOPPED = "stopped"

    __hash__ = object.__hash__  # by identity: Enum's own goes through the name, at each look-up


HOLDING = frozenset({State.ACTIVE, State.CONTESTED, State.DOUBT})
"""The states in which the kernel of this router has the addresses."""

SAID: Mapping[State, PeerState] = {
    State.NEW: PeerState.STANDBY,
    State.STANDBY: PeerState.STANDBY,
    State.ACTIVE: PeerState.ACTIVE,
    State.CONTESTED: PeerState.ACTIVE,
    State.DOUBT: PeerState.DOUBT,
    State.FAULT: PeerState.FAULT,
    State.YIELDED: PeerState.STANDBY,
    State.STUCK: PeerState.DOUBT,
    State.STOPPED: PeerState.LEAVING,
}
"""What each state is called on the wire."""


class Input(enum.Enum):
    """What can happen."""

    START = "started, the kernel holds none of the addresses"
    ADOPT = "started, the kernel holds the addresses"
    ALONE = "no partner is configured"
    SILENT = "the partner is silent for a dead time"
    PEER_STANDBY = "the partner is standby"
    PEER_ACTIVE = "the partner is active"
    PEER_DOUBT = "the partner holds the addresses in doubt"
    PEER_FAULT = "the partner cannot hold the addresses"
    PEER_GONE = "the partner has said goodbye"
    RETURNED = "the partner may have had the addresses meanwhile"
    UNYIELDING = "the partner stays active though we are"
    PAUSED = "this heart did not run for a while"
    LOST = "the kernel no longer holds the addresses"
    FAILED = "the addresses could not be set"
    STUCK = "addresses could not be removed"
    FREED = "the addresses are removed at last"
    SWITCH = "an operator asks to switch over"
    WANTED = "the partner asks for the addresses"
    WORSE = "the partner can serve more"
    UNTAKEN = "the partner has not taken the addresses"
    CUT_OFF = "neither partner nor witness is heard"
    UNLINKED = "an interface of the virtual addresses has no link"
    LINKED = "the interfaces of the virtual addresses have their link again"
    RETRY = "time to try again"
    STOP = "asked to stop"
    BEAT = "time for a heartbeat"

    __hash__ = object.__hash__


class Do(enum.Enum):
    """What the caller shall do, in the order given."""

    ACQUIRE = "acquire"
    RELEASE = "release"
    HAND_OVER = "hand over"
    """Give the partner the connections that it was not given yet, for a bounded time."""
    ANNOUNCE = "announce"
    SEND = "send"
    """A heartbeat now."""
    GOODBYE = "goodbye"
    RENEW = "renew"
    """Speak on in another session, since this one has said goodbye."""
    DISTRUST = "distrust"
    """Believe nothing that was said before now: it may have waited in a queue."""
    LOOK = "look"
    """See whether the kernel still holds the addresses, and call `lost` if not."""


@dataclass(frozen=True, slots=True)
class Next:
    """One cell of a table: where to go and what to do on the way there."""

    state: State
    do: tuple[Do, ...] = ()


_TAKE = Next(State.ACTIVE, (Do.ACQUIRE, Do.ANNOUNCE, Do.SEND))
_GIVE_WAY = Next(State.STANDBY, (Do.RELEASE, Do.SEND))
_SURE = Next(State.ACTIVE, (Do.ANNOUNCE, Do.SEND))
_DOUBT = Next(State.DOUBT, (Do.DISTRUST, Do.LOOK, Do.SEND))
_LEAVE = Next(State.STOPPED, (Do.HAND_OVER, Do.RELEASE, Do.HAND_OVER, Do.GOODBYE))
_BROKEN = Next(State.FAULT, (Do.RELEASE, Do.SEND))
_YIELD = Next(State.YIELDED, (Do.HAND_OVER, Do.RELEASE, Do.HAND_OVER, Do.GOODBYE, Do.RENEW))
_STUCK = Next(State.STUCK, (Do.SEND,))
_NO_LINK = Next(State.FAULT, (Do.HAND_OVER, Do.RELEASE, Do.SEND))


def _row(state: State, **cells: Next) -> dict[Input, Next]:
    """A row in which nothing but the beat happens, except for the cells given."""
    row = dict.fromkeys(Input, Next(state))
    if state is not State.STOPPED:
        row[Input.BEAT] = Next(state, (Do.SEND,))
    row.update({Input[name]: cell for name, cell in cells.items()})
    return row


_COMMON: dict[State, dict[Input, Next]] = {
    State.NEW: _row(
        State.NEW,
        START=Next(State.STANDBY, (Do.SEND,)),
        ADOPT=Next(State.ACTIVE, (Do.SEND,)),
        STOP=Next(State.STOPPED),
    ),
    State.STANDBY: _row(
        State.STANDBY,
        SILENT=_TAKE,
        PEER_GONE=_TAKE,
        PEER_FAULT=_TAKE,
        PAUSED=Next(State.STANDBY, (Do.DISTRUST, Do.SEND)),
        UNLINKED=Next(State.FAULT, (Do.SEND,)),
        STUCK=_STUCK,
        STOP=Next(State.STOPPED, (Do.GOODBYE,)),
    ),
    State.ACTIVE: _row(
        State.ACTIVE,
        RETURNED=Next(State.ACTIVE, (Do.ANNOUNCE,)),
        PEER_ACTIVE=_GIVE_WAY,
        PAUSED=_DOUBT,
        LOST=Next(State.ACTIVE, (Do.ACQUIRE, Do.ANNOUNCE)),
        SWITCH=_YIELD,
        WORSE=_YIELD,
        FAILED=_BROKEN,
        UNLINKED=_NO_LINK,
        STOP=_LEAVE,
    ),
    State.CONTESTED: _row(
        State.CONTESTED,
        SILENT=_SURE,
        CUT_OFF=_SURE,
        PEER_STANDBY=_SURE,
        PEER_DOUBT=_SURE,
        PEER_FAULT=_SURE,
        PEER_GONE=_SURE,
        PEER_ACTIVE=Next(State.CONTESTED),
        UNYIELDING=_GIVE_WAY,
        PAUSED=_DOUBT,
        LOST=Next(State.STANDBY, (Do.RELEASE, Do.SEND)),
        FAILED=_BROKEN,
        UNLINKED=_NO_LINK,
        STOP=_LEAVE,
    ),
    State.DOUBT: _row(
        State.DOUBT,
        ALONE=_SURE,
        SILENT=_SURE,
        PEER_STANDBY=_SURE,
        PEER_FAULT=_SURE,
        PEER_GONE=_SURE,
        PEER_ACTIVE=_GIVE_WAY,
        PEER_DOUBT=_GIVE_WAY,
        PAUSED=_DOUBT,
        LOST=_GIVE_WAY,
        FAILED=_BROKEN,
        UNLINKED=_NO_LINK,
        STOP=_LEAVE,
    ),
    State.FAULT: _row(
        State.FAULT,
        PAUSED=Next(State.FAULT, (Do.DISTRUST, Do.SEND)),
        RETRY=Next(State.STANDBY, (Do.SEND,)),
        LINKED=Next(State.STANDBY, (Do.SEND,)),
        STUCK=_STUCK,
        STOP=Next(State.STOPPED, (Do.GOODBYE,)),
    ),
    State.YIELDED: _row(
        State.YIELDED,
        SILENT=_TAKE,
        UNTAKEN=_TAKE,
        PEER_ACTIVE=Next(State.STANDBY),
        PEER_FAULT=_TAKE,
        PEER_GONE=_TAKE,
        PAUSED=Next(State.STANDBY, (Do.DISTRUST, Do.SEND)),
        UNLINKED=Next(State.FAULT, (Do.SEND,)),
        STUCK=_TAKE,
        STOP=Next(State.STOPPED, (Do.GOODBYE,)),
    ),
    State.STUCK: _row(
        State.STUCK,
        ALONE=_TAKE,
        SILENT=_TAKE,
        PEER_FAULT=_TAKE,
        PEER_GONE=_TAKE,
        PAUSED=Next(State.STUCK, (Do.DISTRUST, Do.SEND)),
        RETRY=Next(State.STUCK, (Do.RELEASE,)),
        FREED=Next(State.STANDBY, (Do.SEND,)),
        STOP=Next(State.STOPPED, (Do.RELEASE, Do.GOODBYE)),
    ),
    State.STOPPED: _row(State.STOPPED),
}

_BY_ROLE: dict[Role, dict[State, dict[Input, Next]]] = {
    Role.PRIMARY: {
        State.STANDBY: {Input.PEER_STANDBY: _TAKE, Input.ALONE: _TAKE},
        State.YIELDED: {Input.ALONE: _TAKE},
        State.ACTIVE: {Input.PEER_ACTIVE: Next(State.CONTESTED, (Do.SEND,))},
        State.CONTESTED: {Input.ALONE: Next(State.ACTIVE)},
        State.DOUBT: {Input.PEER_DOUBT: _SURE},
    },
    # A backup that no primary counts on (backup_active = 0) must hold nothing.
    Role.BACKUP: {
        State.ACTIVE: {Input.ALONE: _GIVE_WAY, Input.WANTED: _YIELD},
        # Only a primary that becomes the backup meanwhile comes here, and goes at once.
        State.CONTESTED: {Input.ALONE: _GIVE_WAY, Input.PEER_ACTIVE: _GIVE_WAY},
        State.DOUBT: {Input.ALONE: _GIVE_WAY},
        State.YIELDED: {Input.ALONE: Next(State.STANDBY)},
        State.STUCK: {Input.ALONE: Next(State.STUCK)},
    },
}

TABLES: Mapping[Role, Mapping[State, Mapping[Input, Next]]] = {
    role: {state: {**row, **_BY_ROLE[role].get(state, {})} for state, row in _COMMON.items()}
    for role in Role
}

_WITH_ONE_OF_OLD: dict[Role, dict[State, dict[Input, Next]]] = {
    Role.PRIMARY: {State.DOUBT: {Input.PEER_ACTIVE: Next(State.CONTESTED, (Do.SEND,))}},
    Role.BACKUP: {State.STANDBY: {Input.PEER_STANDBY: _TAKE}},
}

CLASSIC: Mapping[Role, Mapping[State, Mapping[Input, Next]]] = {
    role: {state: {**row, **_WITH_ONE_OF_OLD[role].get(state, {})} for state, row in rows.items()}
    for role, rows in TABLES.items()
}
"""The tables beside a partner of old (classic.py), where these are its rules:

- Two that are both standby: whoever hears it first becomes active, for a primary of old may be one
  that does not: it says the same while its lvsd has died, or a cable is out.
- Two active ones: the backup gives way at the first heartbeat. So a primary in doubt, which has
  said already that it is active, must not give way as well.
"""

HEARD: Mapping[PeerState, Input] = {
    PeerState.STANDBY: Input.PEER_STANDBY,
    PeerState.ACTIVE: Input.PEER_ACTIVE,
    PeerState.LEAVING: Input.PEER_GONE,
    PeerState.RESIGNED: Input.PEER_GONE,
    PeerState.DOUBT: Input.PEER_DOUBT,
    PeerState.FAULT: Input.PEER_FAULT,
}
