# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heartbeats as bytes, and whom they convince: damaged, forged, replayed ones convince nobody."""

from __future__ import annotations

import random
from itertools import count

import pytest
from piranha.pulse.conversation import (
    ANSWERS,
    REMEMBERED,
    Accepted,
    Conversation,
    Rejected,
    farewells,
)
from piranha.pulse.wire import (
    MAX_SIZE,
    SIZE,
    Echo,
    Heartbeat,
    Key,
    Kind,
    PeerState,
    Reason,
    Refused,
    Role,
    decode,
    encode,
)

KEY = Key.of(bytes(range(32)))
OTHER = Key.of(bytes(range(1, 33)))
BEAT = Heartbeat(
    PeerState.ACTIVE, Role.BACKUP, b"s" * 16, 7, b"d" * 8, Echo.SEEN, b"e" * 16, 2**63 - 1
)


class Side:
    """One end with sessions that can be told apart."""

    def __init__(self, role: Role, name: str, key: Key = KEY) -> None:
        numbers = count()
        self.talk = Conversation(
            (key,), role, 0.5, 1.5, lambda: f"{name}{next(numbers)}".encode().ljust(16, b".")
        )

    def say(self, now: float, state: PeerState = PeerState.STANDBY) -> bytes:
        return self.talk.compose(state, now)

    def hear(self, data: bytes, now: float) -> Accepted | Rejected:
        return self.talk.accept(data, now)

    def reply(self, data: bytes, now: float) -> bytes:
        """Hear what must be refused, and give the answer to it."""
        verdict = self.hear(data, now)
        assert isinstance(verdict, Rejected)
        assert verdict.answer is not None
        return self.talk.compose(PeerState.STANDBY, now, verdict.answer)


def reason(verdict: Accepted | Rejected) -> Reason | None:
    return verdict.reason if isinstance(verdict, Rejected) else None


def pair(now: float = 100.0) -> tuple[Side, Side]:
    """Two ends that have proven themselves to each other."""
    one, two = Side(Role.PRIMARY, "p"), Side(Role.BACKUP, "b")
    answer = two.reply(one.say(now), now)
    assert isinstance(one.hear(answer, now), Accepted)
    assert isinstance(two.hear(one.say(now), now), Accepted)
    return one, two


def test_bytes_and_back() -> None:
    data = encode(BEAT, KEY)
    assert len(data) == SIZE
    assert decode(data, (OTHER, KEY)) == BEAT


def test_every_flipped_bit_is_refused() -> None:
    data = encode(BEAT, KEY)
    for position in range(8 * len(data)):
        bad = bytearray(data)
        bad[position // 8] ^= 1 << position % 8
        assert isinstance(decode(bytes(bad), (KEY,)), Refused), position


def test_every_truncation_and_any_tail_is_refused() -> None:
    data = encode(BEAT, KEY)
    for length in range(len(data)):
        assert isinstance(decode(data[:length], (KEY,)), Refused), length
    assert decode(data + b"\0", (KEY,)) == Refused(Reason.GARBAGE)
    assert decode(data + bytes(MAX_SIZE), (KEY,)) == Refused(Reason.GARBAGE)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", Reason.GARBAGE),
        (b"\xda\xdb\xad\xbd", Reason.FORMAT),
        (b"PLVS", Reason.GARBAGE),
        (b"PLVS\x02" + bytes(200), Reason.VERSION),
        (encode(BEAT, OTHER), Reason.KEY),
    ],
)
def test_reasons(data: bytes, why: Reason) -> None:
    assert decode(data, (KEY,)) == Refused(why)


def test_noise_never_raises() -> None:
    noise = random.Random(4)
    for _unused in range(3000):
        data = noise.randbytes(noise.randrange(SIZE + 8))
        for head in (b"", b"PLVS", b"PLVS\x01", encode(BEAT, KEY)[:12]):
            assert isinstance(decode(head + data, (KEY,)), Refused)


def test_the_key_does_not_show() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert "secret" not in repr(KEY)


def test_both_just_started() -> None:
    one, two = Side(Role.PRIMARY, "p"), Side(Role.BACKUP, "b")
    lost = one.say(0)  # before the other listens
    first = two.say(1)
    answer = one.reply(first, 1)
    seen = two.hear(answer, 1)
    assert isinstance(seen, Accepted)
    assert seen.introduced
    back = one.hear(two.say(1), 1)
    assert isinstance(back, Accepted)
    assert back.introduced
    assert reason(two.hear(lost, 1)) is Reason.LATE


def test_partner_restarts() -> None:
    one, two = pair()
    again = Side(Role.BACKUP, "n")
    verdict = one.hear(again.say(101), 101)
    assert reason(verdict) is Reason.UNCONFIRMED
    assert isinstance(one.hear(two.say(101), 101), Accepted), "the known one goes on meanwhile"
    answer = one.reply(again.say(101), 101)
    assert isinstance(again.hear(answer, 101), Accepted)
    assert isinstance(one.hear(again.say(101), 101), Accepted)
    assert reason(one.hear(two.say(102), 102)) is Reason.CLOSED


def test_usual_heartbeats_prove_enough_without_answers() -> None:
    """Where every answer is lost, what is sent anyway must do."""
    one, two = Side(Role.PRIMARY, "p"), Side(Role.BACKUP, "b")
    for turn in range(3):
        one.hear(two.say(turn), turn)
        two.hear(one.say(turn), turn)
    assert isinstance(one.hear(two.say(3), 3), Accepted)
    assert isinstance(two.hear(one.say(3), 3), Accepted)


def test_old_traffic_is_refused_before_and_after_our_restart() -> None:
    one, two = pair()
    recorded = [two.say(100 + n / 10, PeerState.ACTIVE) for n in range(40)]
    for number, data in enumerate(recorded):
        assert isinstance(one.hear(data, 100 + number / 10), Accepted)
    for data in recorded:
        assert reason(one.hear(data, 105)) in {Reason.LATE, Reason.REPLAY}
    again = Side(Role.PRIMARY, "n")
    for data in recorded * 3:
        assert reason(again.hear(data, 106)) is Reason.UNCONFIRMED
    assert isinstance(one.hear(two.say(105), 105), Accepted), "the true one is still heard"


def test_an_echo_of_long_ago_proves_nothing() -> None:
    one, two = Side(Role.PRIMARY, "p"), Side(Role.BACKUP, "b")
    two.hear(one.say(0), 0)
    held_back = two.say(0)
    assert reason(one.hear(held_back, 10)) is Reason.UNCONFIRMED


def test_a_goodbye_ends_the_session() -> None:
    one, two = pair()
    goodbyes = [two.say(101, PeerState.LEAVING) for _unused in range(3)]
    first = one.hear(goodbyes[0], 101)
    assert isinstance(first, Accepted)
    assert first.beat.state is PeerState.LEAVING
    for data in goodbyes[1:]:
        assert reason(one.hear(data, 101)) is Reason.LATE
    assert reason(one.hear(two.say(102, PeerState.ACTIVE), 102)) is Reason.CLOSED


def test_a_supervisor_says_goodbye_for_its_heart() -> None:
    one, two = pair()
    said = farewells((KEY,), Role.BACKUP, [b"another session.", two.talk.session], bytes(8))
    verdicts = [one.hear(data, 101) for data in said]
    accepted = [v for v in verdicts if isinstance(v, Accepted)]
    assert [v.beat.state for v in accepted] == [PeerState.RESIGNED]
    assert reason(one.hear(two.say(101), 101)) is Reason.CLOSED


def test_a_heart_whose_session_was_ended_learns_it_and_returns() -> None:
    one, two = pair()
    for data in farewells((KEY,), Role.BACKUP, [two.talk.session], bytes(8)):
        one.hear(data, 101)
    answer = one.reply(two.say(101), 101)
    told = two.hear(answer, 101)
    assert isinstance(told, Accepted)
    assert told.closed_us
    two.talk.rotate()
    assert isinstance(one.hear(two.say(102), 102), Accepted), "it echoes what we said just now"


def test_what_waited_in_a_queue_is_not_believed_after_a_pause() -> None:
    one, two = pair()
    waiting = [two.say(100.5 + n / 2) for n in range(20)]
    one.talk.distrust(111)
    for data in waiting:
        assert reason(one.hear(data, 111)) is Reason.UNCONFIRMED
    assert isinstance(two.hear(one.say(111), 111), Accepted)
    assert isinstance(one.hear(two.say(111), 111), Accepted)


def test_one_direction_lost_leaves_the_unheard_unknown() -> None:
    one, two = Side(Role.PRIMARY, "p"), Side(Role.BACKUP, "b")
    for turn in range(5):
        one.say(turn)  # never arrives
        assert reason(one.hear(two.say(turn), turn)) is Reason.UNCONFIRMED


def test_reflected_and_wrong_role() -> None:
    one, two = pair()
    assert reason(one.hear(one.say(101), 101)) is Reason.REFLECTED
    twin = Side(Role.PRIMARY, "t")
    assert reason(one.hear(twin.say(101), 101)) is Reason.ROLE
    assert isinstance(one.hear(two.say(101), 101), Accepted)


def test_overtaken_is_late_and_far_behind_is_a_replay() -> None:
    one, two = pair()
    sent = [two.say(101 + number / 10) for number in range(32)]
    assert isinstance(one.hear(sent[-1], 104.1), Accepted)
    assert reason(one.hear(sent[-2], 104.1)) is Reason.LATE
    assert reason(one.hear(sent[-1], 104.1)) is Reason.LATE
    assert reason(one.hear(sent[0], 104.1)) is Reason.REPLAY


# -- sequences that are times: hearts that are started again --------------------------------------


def timed(side: Side, now: float, state: PeerState = PeerState.STANDBY) -> bytes:
    """Say what agents say since their sequences are times."""
    return side.talk.compose(state, now, kind=Kind.FACTS)


def again(side: Side, now: float, skew: float = 0.0) -> Side:
    """The next heart of the same router, which knows what the one before has left."""
    new = Side(side.talk.role, "n")
    new.talk.resume(side.talk.session, side.talk.memory, now + skew)
    return new


def acquainted(skew: float) -> tuple[Side, Side]:
    """Two that know each other; the second one's clock shows `skew` more."""
    one, two = Side(Role.PRIMARY, "p"), Side(Role.BACKUP, "b")
    for turn in range(4):
        now = 100 + turn / 2
        two.hear(timed(one, now), now + skew)
        one.hear(timed(two, now + skew), now)
    return one, two


@pytest.mark.parametrize("skew", [0.0, 5000.0, -99.0])
def test_a_new_heart_is_believed_by_a_partner_that_it_cannot_hear(skew: float) -> None:
    one, two = acquainted(skew)
    one = again(one, 102)
    for turn in range(5):  # what two says is lost
        now = 102 + turn / 2
        two.say(now + skew)
        assert isinstance(two.hear(timed(one, now), now + skew), Accepted), turn


@pytest.mark.parametrize("skew", [0.0, 5000.0, -99.0])
def test_a_new_heart_believes_a_partner_that_cannot_hear_it(skew: float) -> None:
    one, two = acquainted(skew)
    two = again(two, 102, skew)
    for turn in range(5):
        now = 102 + turn / 2
        two.say(now + skew)  # lost
        assert isinstance(two.hear(timed(one, now), now + skew), Accepted), turn


def test_a_new_heart_believes_nothing_recorded_before_it() -> None:
    one, two = acquainted(0.0)
    recorded = [timed(one, 101.6 + n / 10, PeerState.ACTIVE) for n in range(4)]
    two = again(two, 102)
    for data in recorded:
        assert reason(two.hear(data, 102.1)) is Reason.UNCONFIRMED
    assert isinstance(two.hear(timed(one, 102.2), 102.2), Accepted)


def test_what_was_held_back_for_a_dead_time_is_not_believed() -> None:
    one, two = acquainted(0.0)
    held_back = [timed(one, 102 + n / 2, PeerState.ACTIVE) for n in range(4)]
    for data in held_back:
        assert reason(two.hear(data, 106)) is Reason.UNCONFIRMED
    assert isinstance(two.hear(timed(one, 106.1), 106.1), Accepted)


def test_a_clock_that_was_set_back_is_learnt_through_an_echo() -> None:
    """As in a virtual machine that was halted: its clock has missed the time."""
    one, two = acquainted(0.0)
    two.hear(timed(one, 102), 102)
    halted = 60.0
    assert reason(two.hear(timed(one, 103), 103 + halted)) is Reason.UNCONFIRMED
    assert isinstance(one.hear(timed(two, 103 + halted), 103), Accepted)
    assert isinstance(two.hear(timed(one, 103), 103 + halted), Accepted), "it echoes"
    two.say(105 + halted)
    assert isinstance(two.hear(timed(one, 105), 105 + halted), Accepted), "and its clock is known"


def test_replays_get_few_answers_and_little_memory() -> None:
    one, _unused = pair()
    answers = 0
    for number in range(2000):
        stranger = Side(Role.BACKUP, f"x{number}-")
        verdict = one.hear(stranger.say(0), 200)
        answers += isinstance(verdict, Rejected) and verdict.answer is not None
    assert answers == ANSWERS
    for number in range(REMEMBERED + 50):
        one.talk._close(f"old{number}".encode().ljust(16))
    assert len(one.talk._closed) == REMEMBERED
    assert one.talk.rejected[Reason.UNCONFIRMED] == 2000


def test_forgeries_change_nothing() -> None:
    one, two = pair()
    noise = random.Random(9)
    recorded = [two.say(101) for _unused in range(20)]
    assert isinstance(one.hear(recorded[-1], 101), Accepted)
    before = (one.talk.session, one.talk._partner.session, one.talk._partner.highest)
    for _unused in range(5000):
        bad = bytearray(noise.choice(recorded))
        for _unused in range(noise.randrange(4)):
            bad[noise.randrange(len(bad))] ^= 1 << noise.randrange(8)
        data = bytes(bad[: noise.choice((len(bad), noise.randrange(len(bad))))])
        assert isinstance(one.hear(data, 102), Rejected)
    assert before == (one.talk.session, one.talk._partner.session, one.talk._partner.highest)
    assert isinstance(one.hear(two.say(103), 103), Accepted)
