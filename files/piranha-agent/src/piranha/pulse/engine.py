# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins the conversation with the partner and the takeover machine into one pure thing.

Datagrams and times in, effects out. The heart (heart.py) carries the effects out on a real
kernel, the simulation in the unit tests on a made-up one; between them and the rules there is
no other code.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from piranha import __version__
from piranha.core.lvs_cf.partner_rows import OF_OLD, SIGNED

from .classic import Classic
from .conversation import Accepted, Answer, Conversation, Memory
from .facts import Facts
from .handover import confirmed, receipt
from .machine import HOLDING, Do, Input, Machine, State, Step, Timing
from .members import MAIN, Member, Members
from .wire import Heartbeat, Key, Kind, PeerState, Reason
from .word import Word, decode


class Deed(enum.Enum):
    """What the shell has to do."""

    SEND = "send"
    ACQUIRE = "acquire"
    RELEASE = "release"
    ANNOUNCE = "announce"
    LOOK = "look"
    SESSION = "session"
    """Our session or what we know of the partner's has changed: to be kept (ledger.py)."""
    HAND_OVER = "hand over"
    """Give the partner our connections; see `hand` and `confirmed`."""
    TAKE = "take"
    """Connections of the partner have come; to be confirmed with `take`."""
    GOODBYE = "goodbye"
    """Send what `goodbye` gives: made only now, since it must be the last that is said."""
    RENEW = "renew"
    """Speak on in another session; see `renew`."""
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Effect:
    """One deed. `data` goes with SEND and TAKE, `sequence` with TAKE; `level`, `text` with LOG.

    group: whose addresses (members.py), where there are several.
    """

    deed: Deed
    data: bytes = b""
    sequence: int = 0
    level: str = "info"
    text: str = ""
    group: str = MAIN


KEEP = 60.0
"""Seconds between two times that what is known of the partner's clock is kept."""
BACK = 0.95
"""The share of the partner's connections that a primary must have to ask for the addresses."""
GOODBYES = 3
"""How often a goodbye is said; a lost one costs the clients a dead time."""

_LEVELS = {
    Input.PEER_ACTIVE: "warning",
    Input.UNYIELDING: "warning",
    Input.PAUSED: "warning",
    Input.LOST: "warning",
    Input.FAILED: "err",
    Input.UNLINKED: "err",
    Input.SILENT: "warning",
    Input.CUT_OFF: "warning",
    Input.STUCK: "crit",
    Input.WORSE: "warning",
    Input.UNTAKEN: "err",
}

_OUTCOME = {
    (False, True): "this router takes the virtual addresses",
    (True, False): "this router lets go of the virtual addresses",
    (True, True): "this router keeps the virtual addresses",
    (False, False): "this router does not take the virtual addresses",
}


class Engine:
    """One router's heart without any input or output.

    keys: as Conversation takes them. new_session: gives 16 random bytes. digest: 8 bytes of the
    configuration. groups: their names, the main one first. Every method gives the effects to carry
    out, in order.
    """

    def __init__(
        self,
        keys: tuple[Key, ...],
        timing: Timing,
        digest: bytes,
        new_session: Callable[[], bytes],
        now: float,
        groups: tuple[str, ...] = (),
    ) -> None:
        self._new_session = new_session
        self.conversation = self._converse(keys, timing, digest)
        chance = new_session()
        self.members = Members(groups, timing, now, chance[2])
        self.genuine = False
        """Whether the datagram received last came from the partner, if late: its path works."""
        self.partner_digest: bytes | None = None
        """The digest the partner sent last; None before its first heartbeat."""
        self.facts = Facts(__version__, takes=int.from_bytes(chance[:2], "big"))
        """What the partner is told of us; the shell sets the numbers."""
        self.partner_facts: Facts | None = None
        self._kept: bytes | None = None
        self._keep_at = now

    def _converse(self, keys: tuple[Key, ...], timing: Timing, digest: bytes) -> Conversation:
        """Begin a conversation, in the format that the partner understands."""
        kind = Classic if timing.classic else Conversation
        made = kind(keys, timing.role, timing.keepalive, timing.deadtime, self._new_session)
        made.digest = digest
        return made

    @property
    def machine(self) -> Machine:
        """That of the main group, which stands for the router."""
        return self.members.main.machine

    def start(
        self,
        now: float,
        holding: bool | Mapping[str, bool],
        left: bool | Mapping[str, bool] = False,
        force: bool = False,
    ) -> list[Effect]:
        """Begin; `holding`: the kernel has the addresses and they were ours before.

        left: it has some that are not to be here, and could not be removed. Both for all groups,
        or for each by its name. force: wait for no partner to be heard.
        """
        begun = []
        for member in self.members:
            has = holding if isinstance(holding, bool) else holding[member.name]
            keeps = left if isinstance(left, bool) else left[member.name]
            begun.append((member, member.machine.start(now, has, keeps, force)))
        # Only now, since the first heartbeat speaks of all of them.
        effects = [e for member, steps in begun for e in self._carry(steps, now, member)]
        return [_FORCED, *effects] if force else effects

    def resume(self, session: bytes | None, memory: Memory | None, now: float) -> None:
        """Speak on where the heart before this one ended; to be called before `start`."""
        self.conversation.resume(session, memory, now)

    def woke(self, now: float) -> list[Effect]:
        """To be called first at each wake-up, before anything is read."""
        return self._each(lambda member: member.machine.woke(now), now)

    def received(self, data: bytes, now: float) -> list[Effect]:
        """A datagram from one of the partner's addresses."""
        verdict = self.conversation.accept(data, now)
        self.genuine = isinstance(verdict, Accepted) or verdict.reason is Reason.LATE
        if not isinstance(verdict, Accepted):
            if verdict.answer is None or not self.machine.timing.partnered:
                return []
            return self._send(now, answer=verdict.answer)
        if not self.machine.timing.partnered:
            return []
        effects = []
        if verdict.closed_us:
            self.conversation.rotate()
            effects.append(Effect(Deed.SESSION))
        self.partner_digest = verdict.beat.digest or None
        (took, gave), state = self._learn(verdict.beat), verdict.beat.state
        news = decode(verdict.beat.kind, verdict.beat.body)
        for member in self.members:
            member.hear(news)
            conceded = gave if news is None else member.conceded(news)
            steps = member.machine.heard(member.said(state, news), now, took, conceded)
            if self.partner_facts is not None and self.partner_facts.wants:
                steps += member.machine.wanted(now)
            effects += self._carry(steps, now, member)
        if verdict.introduced and not any(effect.deed is Deed.SEND for effect in effects):
            effects += self._send(now)
        if verdict.beat.kind is Kind.CONNECTIONS:
            effects.append(Effect(Deed.TAKE, verdict.beat.body, verdict.beat.sequence))
        return effects + self._keep(now)

    def _learn(self, beat: Heartbeat) -> tuple[bool, int | None]:
        """Note the partner's facts: whether it had the addresses meanwhile, how often it conceded
        them."""
        facts = Facts.decode(beat.body) if beat.kind is Kind.FACTS else None
        if facts is None:
            return False, None
        before, self.partner_facts = self.partner_facts, facts
        return before is not None and before.takes != facts.takes, facts.conceded

    def tick(self, now: float) -> list[Effect]:
        """To be called last at each wake-up, after everything was read."""
        effects, silent, less = [], False, self._serves_less()
        cut_off = self.members.cut_off
        for member in self.members:
            machine = member.machine
            heard = machine.partner is not None
            steps = machine.tick(now) + machine.compare(less, now)
            if heard and machine.partner is None and not silent:
                silent = True
                self.conversation.silent(now)
            effects += self._carry(steps, now, member)
        told = [_CUT_OFF] if self.members.cut_off and not cut_off else []
        return [*told, *effects, *self._keep(now)]

    def _keep(self, now: float) -> list[Effect]:
        """Have kept what the next heart must know, where it has changed, and now and then."""
        known = self.conversation.known
        if known == self._kept and (now < self._keep_at or known is None):
            return []
        self._kept, self._keep_at = known, now + KEEP
        return [Effect(Deed.SESSION)]

    def _serves_less(self) -> bool:
        """Whether the partner has said that it can serve more virtual services than we can."""
        partner = self.partner_facts
        return partner is not None and self.facts.able < partner.able

    def _wants(self, now: float) -> bool:
        """Whether to ask for the addresses: it is time, and no client would lose by it."""
        partner = self.partner_facts
        return (
            self.machine.wants(now)
            and partner is not None
            and self.facts.able >= partner.able
            and self.facts.connections >= BACK * partner.connections
        )

    def tell(
        self, able: int | None = None, of: int | None = None, connections: int | None = None
    ) -> None:
        """Take in what this router can serve, and how many connections its table has."""
        facts = self.facts
        self.facts = replace(
            facts,
            able=facts.able if able is None else able,
            of=facts.of if of is None else of,
            connections=facts.connections if connections is None else connections,
        )

    def switch(self, now: float, group: str | None = None) -> tuple[str | None, list[Effect]]:
        """Let the partner take over, as an operator asks; a sentence where that cannot be.

        group: whose addresses; None: those of the main one.
        """
        member = self.members.main if group is None else self.members[group]
        refusal = member.machine.hindrance()
        if refusal is not None:
            return refusal, []
        return None, self._carry(member.machine.switch(now), now, member)

    def renew(self, now: float) -> list[Effect]:
        """The answer to RENEW, once everything before it is done."""
        self.conversation.rotate()
        return [Effect(Deed.SESSION), *self._send(now)]

    def stuck(self, now: float, group: str = MAIN) -> list[Effect]:
        """The answer to RELEASE where addresses are still here; what came after it is void."""
        return self._one(group, lambda machine: machine.stuck(now), now)

    def freed(self, now: float, group: str = MAIN) -> list[Effect]:
        """The answer to RELEASE where all are gone."""
        return self._one(group, lambda machine: machine.freed(now), now)

    def lost(self, now: float, group: str = MAIN) -> list[Effect]:
        """The answer to LOOK where the kernel does not hold the addresses."""
        return self._one(group, lambda machine: machine.lost(now), now)

    def failed(self, now: float, group: str = MAIN) -> list[Effect]:
        """The answer to ACQUIRE where no address could be set."""
        self.members[group].unfit_for = ""
        return self._one(group, lambda machine: machine.failed(now), now)

    def carrier(self, linked: bool, now: float, group: str = MAIN) -> list[Effect]:
        """Whether all interfaces of the virtual addresses have their link, now and until told."""
        return self._one(group, lambda machine: machine.carrier(linked, now), now)

    def unfit(self, why: str, now: float, group: str = MAIN) -> list[Effect]:
        """Let the partner have the addresses, since they are of no use here. why: in words."""
        member = self.members[group]
        member.unfit_for = why
        return self._carry(member.machine.failed(now), now, member, why)

    def say(self, words: Mapping[str, Word], now: float) -> list[Effect]:
        """Tell the partner something else of our services from now on, and at once."""
        news = [m for m in self.members if words.get(m.name, m.word) != m.word]
        for member in news:
            member.word = words[member.name]
        return self._send(now) if news else []

    def stop(self, now: float) -> list[Effect]:
        """Hand over and end."""
        return self._each(lambda member: member.machine.stop(now), now)

    def goodbye(self, now: float) -> bytes:
        """Give the datagram that GOODBYE sends."""
        return self.conversation.compose(PeerState.LEAVING, now)

    # -- connections ---------------------------------------------------------------------------

    def hand(self, portion: bytes, now: float) -> tuple[int, bytes]:
        """Give the sequence and the datagram by which the partner gets a portion of connections.

        It says that we are active: until the goodbye the partner is to leave the addresses alone.
        """
        talk = self.conversation
        data = talk.compose(PeerState.ACTIVE, now, kind=Kind.CONNECTIONS, body=portion)
        return talk.sequence, data

    def confirmed(self, data: bytes, now: float) -> tuple[int, ...] | None:
        """Hear a datagram while handing over: the sequences that a receipt confirms, else None.

        Nothing else that the partner says could change what we are about to do.
        """
        verdict = self.conversation.accept(data, now)
        if not isinstance(verdict, Accepted) or verdict.beat.kind is not Kind.TAKEN:
            return None
        try:
            return confirmed(verdict.beat.body)
        except ValueError:
            return None

    def take(self, sequences: tuple[int, ...], now: float) -> list[Effect]:
        """Confirm portions that TAKE gave; none: this router cannot take connections."""
        said, body = self.machine.said(), receipt(sequences)
        data = self.conversation.compose(said, now, kind=Kind.TAKEN, body=body)
        return [Effect(Deed.SEND, data)]

    # -- numbers -------------------------------------------------------------------------------

    def estranging(self, timing: Timing, partner: str) -> str | None:
        """Say why other numbers cannot be used now, or None: a partner that is heard would not be.

        timing: the numbers; partner: its address. The formats of heartbeats do not understand each
        other, so a router that changes its own beside a partner would soon be active as well.
        """
        both = timing.partnered and self.machine.timing.partnered
        if timing.classic == self.classic or not both or self.machine.partner is None:
            return None
        said, then = (OF_OLD, SIGNED) if self.classic else (SIGNED, OF_OLD)
        return (
            f"heartbeat_format = {then} cannot replace {said} while {partner} is heard, which would"
            f" not be heard then, so that both routers became active; stop piranha-pulse on the"
            f" standby, reload the active one a dead time later, and start the other with the same"
            f" heartbeat_format"
        )

    def reload(
        self, keys: tuple[Key, ...], timing: Timing, digest: bytes, now: float
    ) -> list[Effect]:
        """Use another configuration from now on."""
        if timing.classic != self.classic:
            # Who speaks the other format is unheard until he is heard: as at a start.
            self.conversation = self._converse(keys, timing, digest)
            self.partner_digest = self.partner_facts = None
            for member in self.members:
                member.partner_word = None
        self.conversation.keys = keys
        self.conversation.role = timing.role
        self.conversation.digest = digest
        self.conversation.pace(timing.keepalive, timing.deadtime)
        return self._each(lambda member: member.machine.retime(timing, now), now)

    def regroup(self, holding: Mapping[str, bool], timing: Timing, now: float) -> list[Effect]:
        """Have other groups from now on; as Members.change takes them."""
        effects = []
        for member, steps in self.members.change(holding, timing, now):
            effects += self._carry(steps, now, member)
        return effects

    def next_at(self) -> float:
        """When `tick` is due at the latest."""
        return min(member.machine.next_at() for member in self.members)

    @property
    def classic(self) -> bool:
        """Whether the partner is taken for one that runs Piranha of old."""
        return self.machine.timing.classic

    @property
    def holding(self) -> bool:
        """Whether this router is to have any of the addresses."""
        return any(member.machine.state in HOLDING for member in self.members)

    def _each(self, ask: Callable[[Member], list[Step]], now: float) -> list[Effect]:
        effects = []
        for member in self.members:
            effects += self._carry(ask(member), now, member)
        return effects

    def _one(self, group: str, ask: Callable[[Machine], list[Step]], now: float) -> list[Effect]:
        member = self.members[group]
        return self._carry(ask(member.machine), now, member)

    def _carry(
        self, steps: list[Step], now: float, member: Member | None = None, why: str = ""
    ) -> list[Effect]:
        member = member or self.members.main
        effects: list[Effect] = []
        for step in steps:
            if step.before is not step.after:
                effects.append(_told(step, why, "" if self.members.alone else member.name))
            for do in step.do:
                effects += self._do(do, step, now, member)
        return effects

    def _do(self, do: Do, step: Step, now: float, member: Member) -> list[Effect]:
        match do:
            case Do.SEND:
                if step.why is Input.BEAT and member is not self.members.main:
                    return []  # one heartbeat speaks for all
                return self._send(now, member.machine.said(step.after), member=member)
            case Do.GOODBYE:
                return self._goodbyes(step, now, member)
            case Do.HAND_OVER:
                # To a partner that is not there, or holds the addresses too, nothing moves.
                # One of old takes none.
                ready = member.machine.partner is PeerState.STANDBY and not self.classic
                return [Effect(Deed.HAND_OVER, group=member.name)] if ready else []
            case Do.DISTRUST:
                self.conversation.distrust(now)
                return []
            case Do.ACQUIRE:
                self._takes()
                return [Effect(Deed.ACQUIRE, group=member.name)]
            case Do.RENEW:
                # Where no session has ended there is nothing to renew.
                return [Effect(Deed.RENEW)] if self.members.alone else self._send(now)
            case Do.RELEASE:
                return [Effect(Deed.RELEASE, group=member.name)]
            case Do.ANNOUNCE:
                if step.before is State.DOUBT:
                    self._takes()  # from a partner that has them too, in the neighbours' eyes
                return [Effect(Deed.ANNOUNCE, group=member.name)]
            case Do.LOOK:
                return [Effect(Deed.LOOK, group=member.name)]

    def _takes(self) -> None:
        """Have the partner hear that it must announce the addresses again, if it keeps them."""
        self.facts = replace(self.facts, takes=self.facts.takes + 1)

    def _goodbyes(self, step: Step, now: float, member: Member) -> list[Effect]:
        """Say goodbye for a group: by the router's own, where that is all there is."""
        if not member.machine.timing.partnered:
            return []
        if self.members.alone or self.members.ended:
            return [Effect(Deed.GOODBYE)] * GOODBYES
        if step.after is State.STOPPED:
            return []  # the last one says it for all
        return [
            effect
            for _unused in range(GOODBYES)
            for effect in self._send(now, PeerState.LEAVING, member=member)
        ]

    def _send(
        self,
        now: float,
        state: PeerState | None = None,
        answer: Answer | None = None,
        member: Member | None = None,
    ) -> list[Effect]:
        """Tell the partner what we are. state: what is said of one group, the main one if none."""
        main = self.members.main
        if not main.machine.timing.partnered:
            return []
        member = member or main
        said = member.machine.said() if state is None else state
        wants, conceded = self._wants(now), main.machine.conceded
        if wants is not self.facts.wants or conceded != self.facts.conceded:
            self.facts = replace(self.facts, wants=wants, conceded=conceded)
        # The head speaks of the router: a group that leaves is not all of it.
        leaves = said is PeerState.LEAVING and not self.members.alone
        head = main.machine.said() if leaves or member is not main else said
        body = self.facts.encode() if main.word is None else self.members.body(member, said)
        kind = Kind.FACTS if main.word is None else Kind.SERVICES
        data = self.conversation.compose(head, now, answer, kind, body)
        return [Effect(Deed.SEND, data, group=member.name)]

    # -- what an operator asks ----------------------------------------------------------------

    def problems(self, partner: str, key_file: str, now: float) -> list[str]:
        """Say in one sentence each what is wrong between us and the partner, now.

        partner: its address; key_file: the path of the key.
        """
        if not self.machine.timing.partnered:
            return []
        said: list[str] = []
        recent = now - 2 * self.machine.timing.deadtime - self.machine.timing.keepalive
        if self.members.cut_off:
            said.append(
                f"neither {partner} nor a witness is heard: this router seems to be cut off and"
                f" takes nothing; check its network"
            )
        elif self.machine.partner is None:
            said += [
                sentence.format(partner=partner, key_file=key_file)
                for reason, sentence in (_WHY_SILENT | _OTHER_FORMAT[self.classic]).items()
                if self.conversation.rejected_at.get(reason, recent) > recent
            ][:1] or [f"nothing is heard from {partner}"]
        elif self.partner_digest not in (None, self.conversation.digest):
            said.append(
                f"lvs.cf here and on {partner} differ: compare the files and reload the older one"
            )
        for member in self.members:
            state, label = member.machine.state, f"group {member.name}: " if member.name else ""
            if state is State.CONTESTED:
                said.append(f"{label}{partner} holds the virtual addresses as well")
            if state is State.FAULT and member.machine.linked:
                unset = "the virtual addresses could not be set here; see the log"
                said.append(f"{label}{member.unfit_for or unset}")
        return said


_FORCED = Effect(
    Deed.LOG,
    level="notice",
    text="forced to be active at its start: this router waits for no partner to be heard",
)
_CUT_OFF = Effect(
    Deed.LOG,
    level="warning",
    text=f"{Input.CUT_OFF.value}: {_OUTCOME[False, False]}, since it seems to be cut off",
)

_WHY_SILENT = {
    Reason.KEY: "heartbeats from {partner} carry another key: compare {key_file} on both routers",
    Reason.FORGED: "heartbeats from {partner} are damaged on the way or forged",
    Reason.VERSION: "heartbeats from {partner} are of another version: install the same agent on"
    " both routers",
    Reason.ROLE: "{partner} claims the same role as this router: compare lvs.cf on both routers",
    Reason.GARBAGE: "{partner} sends what is no heartbeat of ours: see what uses the"
    " heartbeat_port there",
    Reason.UNCONFIRMED: "{partner} is heard, but does not hear this router: check the firewall"
    " and the route to it",
    Reason.SERVICE: "{partner} is of old and runs failover services, not virtual ones: compare"
    " lvs.cf on both routers",
}
"""Reasons that explain a silence, the likeliest first."""

_OTHER_FORMAT = {
    False: {
        Reason.FORMAT: "{partner} sends the unsigned heartbeats of Piranha of old: set"
        " heartbeat_format = classic here until it is replaced"
    },
    True: {
        Reason.FORMAT: "{partner} signs its heartbeats: remove heartbeat_format = classic here,"
        " it is needed no more"
    },
}
"""The same where the partner speaks the other format; the key is whether we speak that of old."""


def _told(step: Step, why: str, group: str) -> Effect:
    label = f" of group {group}" if group else ""
    outcome = _OUTCOME[step.before in HOLDING, step.after in HOLDING]
    level = _LEVELS.get(step.why, "notice")
    return Effect(
        Deed.LOG,
        level=level,
        text=f"{why or step.why.value}: {outcome}{label} "
        f"({step.before.value} -> {step.after.value})",
        group=group,
    )
