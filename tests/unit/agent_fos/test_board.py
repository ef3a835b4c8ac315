# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fos decides: order, restarts, moving, what is stuck; and, at random, that never two run."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from piranha.fos.board import Act, Board, Deed, Phase, Role
from piranha.fos.settings import Service
from piranha.nanny.spec import SocketCheck, Watch
from piranha.pulse.word import Word

WEB = Service(
    "web",
    "192.0.2.9",
    80,
    start=("web", "start"),
    stop=("web", "stop"),
    start_timeout=10,
    stop_timeout=5,
    watch=Watch(SocketCheck("tcp", "192.0.2.9", 80, 1.0), 1.0),
)
DB = replace(WEB, name="db", port=6379)
IDLE = Word(running=False)
ACTIVE = Role(True, True, "standby", IDLE)
STANDBY = Role(False, True, "active", Word(running=True))


def acts(deeds: list[Deed]) -> list[tuple[str, str]]:
    return [(d.act.value, d.service.name) for d in deeds if d.act is not None and d.service]


def texts(deeds: list[Deed]) -> str:
    return " | ".join(d.text for d in deeds if d.text)


def stopped(*services: Service) -> Board:
    """A board of which nothing runs."""
    board = Board(services or (WEB, DB), 0.0)
    for entry in board.entries:
        entry.phase = Phase.STOPPED
    return board


def running(*services: Service) -> Board:
    """A board that runs everything, as the active one, at 10."""
    board = stopped(*services)
    for entry in board.entries:
        entry.phase = Phase.RUNNING
    assert acts(board.role(ACTIVE, 10.0)) == []
    return board


def phases(board: Board) -> dict[str, str]:
    return {entry.service.name: entry.phase.value for entry in board.entries}


def test_nothing_happens_before_the_heart_has_spoken() -> None:
    board = Board((WEB, DB), 0.0)
    assert board.tick(1.0) == []
    assert board.word(1.0).running, "nobody has looked, so something may run"


def test_what_is_unknown_is_stopped_first_and_then_started_in_order() -> None:
    board = Board((WEB, DB), 0.0)
    assert acts(board.role(ACTIVE, 1.0)) == [("stop", "db")]
    assert acts(board.done("db", Act.STOP, True, "succeeded", 1.1)) == [("stop", "web")]
    assert acts(board.done("web", Act.STOP, True, "succeeded", 1.2)) == [("start", "web")]
    assert board.word(1.3).mending
    assert acts(board.done("web", Act.START, True, "succeeded", 1.4)) == [("start", "db")]
    assert acts(board.done("db", Act.START, True, "succeeded", 1.5)) == []
    assert phases(board) == {"web": "starting", "db": "starting"}
    board.checked("web", True, "well", 1.6)
    board.checked("db", True, "well", 1.7)
    assert phases(board) == {"web": "running", "db": "running"}
    assert board.word(1.8) == Word(running=True)


def test_a_standby_stops_in_reverse_order() -> None:
    board = running()
    assert acts(board.role(STANDBY, 11.0)) == [("stop", "db")]
    assert acts(board.done("db", Act.STOP, True, "succeeded", 12.0)) == [("stop", "web")]
    assert board.word(12.0).running
    board.done("web", Act.STOP, True, "succeeded", 13.0)
    assert board.word(13.0) == IDLE


@pytest.mark.parametrize(
    ("partner", "word", "starts"),
    [
        ("standby", IDLE, True),
        ("standby", Word(running=True), False),
        ("fault", Word(running=True), False),
        ("standby", None, False),
        (None, Word(running=True), True),
    ],
)
def test_nothing_is_started_while_a_partner_that_is_heard_may_run_it(
    partner: str | None, word: Word | None, starts: bool
) -> None:
    board = stopped()
    assert bool(acts(board.role(Role(True, True, partner, word), 1.0))) is starts
    assert bool(board.problems()) is not starts
    assert acts(board.role(ACTIVE, 2.0)) == ([] if starts else [("start", "web")])


def fail(board: Board, name: str, now: float) -> list[Deed]:
    return board.checked(name, False, "connection refused", now, down=True)


def test_a_failed_service_is_started_again_on_the_spot() -> None:
    board = running()
    deeds = fail(board, "web", 11.0)
    assert "started again here (1 of 1)" in texts(deeds)
    assert acts(deeds) == [("stop", "web")]
    assert board.word(11.0).mending, "the partner leaves it alone meanwhile"
    assert acts(board.done("web", Act.STOP, True, "succeeded", 11.1)) == [("start", "web")]
    board.done("web", Act.START, True, "succeeded", 11.2)
    board.checked("web", True, "well", 11.3)
    assert phases(board) == {"web": "running", "db": "running"}
    assert board.entries[0].restarts == 1


def restart(board: Board, name: str, now: float) -> None:
    fail(board, name, now)
    board.done(name, Act.STOP, True, "succeeded", now + 0.1)
    board.done(name, Act.START, True, "succeeded", now + 0.2)
    board.checked(name, True, "well", now + 0.3)


def test_one_that_fails_too_often_moves_all_and_the_router_is_spared() -> None:
    board = running()
    restart(board, "web", 11.0)
    deeds = fail(board, "web", 20.0)
    assert "all services are stopped and go to the partner" in texts(deeds)
    assert acts(deeds) == [("stop", "db")]
    assert board.released == ""
    board.done("db", Act.STOP, True, "succeeded", 20.1)
    board.done("web", Act.STOP, True, "succeeded", 20.2)
    assert board.released.startswith("web failed here: connection refused")
    assert board.word(20.3) == Word(running=False, weak=True)
    board.role(STANDBY, 20.4)
    assert board.released == ""
    assert not board.word(81.0).weak


def test_restarts_long_ago_do_not_count() -> None:
    board = running()
    restart(board, "web", 11.0)
    assert "(1 of 1)" in texts(fail(board, "web", 72.0))


@pytest.mark.parametrize(
    ("role", "why"),
    [
        (Role(True, False), "there is no partner"),
        (Role(True, True, None), "the partner is not heard"),
        (Role(True, True, "fault", IDLE), "the partner is fault"),
        (Role(True, True, "standby", Word(running=False, weak=True)), "they failed there as well"),
        (Role(True, True, "standby", Word(running=True)), "has not stopped its own"),
    ],
)
def test_without_an_able_partner_it_is_tried_again_here_later(role: Role, why: str) -> None:
    board = running()
    restart(board, "web", 11.0)
    board.role(role, 12.0)
    deeds = fail(board, "web", 20.0)
    assert why in texts(deeds)
    assert acts(deeds) == []
    assert "failed here" in board.problems()[0]
    assert acts(board.tick(79.0)) == []
    assert acts(board.tick(80.0)) == [("stop", "web")]
    # Able again: it moves at once.
    board.role(ACTIVE, 80.1)
    assert board.moving
    assert acts(board.done("web", Act.STOP, True, "succeeded", 81.1)) == [("stop", "db")]


def test_one_that_is_not_critical_fails_alone() -> None:
    board = running(replace(WEB, critical=False, max_restarts=0), DB)
    deeds = fail(board, "web", 11.0)
    assert "it is not critical" in texts(deeds)
    assert board.moving == ""
    assert acts(board.tick(71.0)) == [("stop", "web")]


def test_a_start_that_no_check_confirms_in_time_is_a_failure() -> None:
    board = stopped(WEB)
    board.role(ACTIVE, 1.0)
    board.done("web", Act.START, True, "succeeded", 2.0)
    board.checked("web", False, "connection refused", 3.0, down=True)
    assert phases(board) == {"web": "starting"}
    deeds = board.tick(11.0)
    assert "no check succeeded within 10 s of its start: connection refused" in texts(deeds)
    assert acts(deeds) == [("stop", "web")]


def test_a_start_under_way_is_cancelled_when_the_addresses_go() -> None:
    board = stopped(WEB)
    board.role(ACTIVE, 1.0)
    assert acts(board.role(STANDBY, 2.0)) == [("cancel", "web")]
    assert acts(board.tick(2.1)) == [], "once is enough"
    assert acts(board.done("web", Act.START, False, "was cancelled", 2.2)) == [("stop", "web")]


def test_what_is_stuck_keeps_all_where_it_is_and_is_tried_again() -> None:
    board = running()
    restart(board, "web", 11.0)
    fail(board, "web", 20.0)
    deeds = board.done("db", Act.STOP, False, "did not end within 5 s and was killed", 25.0)
    assert "nothing goes to the partner before it is" in texts(deeds)
    assert board.moving == ""
    assert board.word(25.0).running
    assert "stop it by hand" in " ".join(board.problems())
    # What can run goes on: web is mended at once, db is asked to stop again later.
    assert acts(deeds) == [("stop", "web")]
    assert acts(board.done("web", Act.STOP, True, "succeeded", 26.0)) == [("start", "web")]
    board.done("web", Act.START, False, "ended with status 1", 27.0)
    board.done("web", Act.STOP, True, "succeeded", 28.0)
    assert acts(board.tick(85.0)) == [("stop", "db")]
    board.done("db", Act.STOP, True, "succeeded", 85.5)
    assert board.moving, "now it can move"


def test_all_moves_by_hand_in_order_or_the_reason_is_told() -> None:
    board = running()
    refusal, deeds = board.move("anna switches over", 11.0)
    assert refusal == ""
    assert acts(deeds) == [("stop", "db")]
    board.done("db", Act.STOP, True, "succeeded", 11.1)
    board.done("web", Act.STOP, True, "succeeded", 11.2)
    assert board.released == "anna switches over"
    assert not board.word(11.3).weak, "nothing has failed here"

    board = running()
    board.role(replace(ACTIVE, word=Word(running=False, weak=True)), 11.0)
    assert board.move("x", 11.1)[0] == "", "whoever asks knows better"
    board = running()
    board.role(Role(True, True, None), 11.0)
    assert board.move("x", 11.1)[0] == "the services stay here: the partner is not heard"
    board.role(STANDBY, 11.2)
    assert "ask the one that has them" in board.move("x", 11.3)[0]
    assert board.moving == ""


def test_an_operator_s_wish_ends_where_nobody_is_left_to_have_the_services() -> None:
    board = running(WEB)
    board.move("anna switches over", 11.0)
    board.role(Role(True, True, None), 11.05)
    deeds = board.done("web", Act.STOP, True, "succeeded", 11.1)
    assert "all services stay here after all: the partner is not heard" in texts(deeds)
    assert (board.released, acts(deeds)) == ("", [("start", "web")])


def test_a_group_names_itself_in_what_it_tells() -> None:
    board = Board((WEB,), 0.0, "front")
    board.entries[0].phase = Phase.RUNNING
    board.role(ACTIVE, 1.0)
    told = texts(board.move("anna asks", 2.0)[1])
    assert told == "anna asks; all services of group front are stopped and go to the partner"


def test_stop_stops_all_for_good_and_asks_again_what_was_stuck() -> None:
    board = running(WEB)
    assert acts(board.stop(11.0)) == [("stop", "web")]
    board.done("web", Act.STOP, False, "hangs", 16.0)
    assert not board.all_stopped
    assert acts(board.tick(17.0)) == []
    assert acts(board.stop(17.0)) == [("stop", "web")]
    board.done("web", Act.STOP, True, "succeeded", 18.0)
    assert board.all_stopped
    assert acts(board.tick(100.0)) == []


def test_a_complaint_of_the_partner_moves_all_once_in_a_while() -> None:
    board = running()
    asks = replace(ACTIVE, word=Word(running=False, asks=True))
    assert acts(board.role(asks, 11.0)) == [("stop", "db")]
    board.done("db", Act.STOP, True, "succeeded", 12.0)
    board.done("web", Act.STOP, True, "succeeded", 13.0)
    board.role(STANDBY, 13.1)
    board.role(ACTIVE, 100.0)
    for name in ("web", "db"):
        board.done(name, Act.START, True, "succeeded", 101.0)
        board.checked(name, True, "well", 102.0)
    assert acts(board.role(asks, 110.0)) == [], "they do not go to and fro"
    assert acts(board.tick(612.0)) == [("stop", "db")]


def test_a_complaint_is_not_heeded_while_something_is_mended() -> None:
    board = running()
    fail(board, "web", 11.0)
    assert board.moving == ""
    board.role(replace(ACTIVE, word=Word(running=False, asks=True)), 11.1)
    assert board.moving == ""


def test_a_standby_complains_and_takes_it_back() -> None:
    board = stopped()
    board.role(STANDBY, 1.0)
    assert board.complain("web: connection refused", 2.0)[0].level == "warning"
    assert board.word(2.0) == Word(running=False, asks=True)
    assert board.complain("web: connection refused", 2.5) == []
    assert board.complain("", 3.0)[0].level == "notice"
    assert not board.word(3.0).asks


def test_reload_adds_removes_and_leaves_the_rest_alone() -> None:
    board = running()
    new = replace(WEB, name="new", port=81)
    deeds = board.reload((replace(WEB, max_restarts=5), new), 20.0)
    assert acts(deeds) == [("stop", "new")], "unknown: to be stopped before anything else"
    assert acts(board.done("new", Act.STOP, True, "succeeded", 20.1)) == [("stop", "db")]
    deeds = board.done("db", Act.STOP, True, "succeeded", 20.2)
    assert acts(deeds) == [("start", "new")]
    assert phases(board) == {"web": "running", "new": "starting"}
    assert board.entries[0].service.max_restarts == 5


class World:
    """Two boards, and what really runs; commands succeed or fail as chance has it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.boards = [Board((WEB, DB), 0.0) for _unused in range(2)]
        self.runs: list[set[str]] = [set(), set()]
        self.commands: list[list[tuple[float, Act, str]]] = [[], []]
        self.holder: int | None = 0
        self.heard: list[Word | None] = [None, None]
        self.together = 0

    def carry(self, number: int, deeds: list[Deed]) -> None:
        for deed in deeds:
            if deed.service is None or deed.act is None:
                continue
            name = deed.service.name
            if deed.act is Act.CANCEL:
                self.commands[number] = [(self.now, a, n) for _at, a, n in self.commands[number]]
                continue
            if deed.act is Act.START:
                self.runs[number].add(name)  # from its first moment on it may run
            at = self.now + self.random.choice((0.1, 1.0, 4.0))
            self.commands[number].append((at, deed.act, name))

    def step(self) -> None:
        self.now += 0.5
        if self.random.random() < 0.05:
            self.holder = self.random.choice((0, 1, None))
        for number, board in enumerate(self.boards):
            other = 1 - number
            # A heartbeat is a moment old, as on a network.
            word = self.heard[other]
            partner = "active" if self.holder == other else "standby"
            self.carry(
                number, board.role(Role(self.holder == number, True, partner, word), self.now)
            )
            due = [c for c in self.commands[number] if c[0] <= self.now]
            self.commands[number] = [c for c in self.commands[number] if c[0] > self.now]
            for _at, act, name in due:
                ok = self.random.random() < 0.8
                if act is Act.STOP and ok:
                    self.runs[number].discard(name)
                self.carry(number, board.done(name, act, ok, "as chance has it", self.now))
            for name in sorted(self.runs[number]):
                good = self.random.random() < 0.9
                self.carry(number, board.checked(name, good, "so", self.now, down=not good))
            self.carry(number, board.tick(self.now))
            if board.released and self.holder == number:
                self.holder = other
        self.heard = [board.word(self.now) for board in self.boards]
        self.together += len(self.runs[0] & self.runs[1])


@pytest.mark.parametrize("seed", range(40))
def test_two_that_hear_each_other_never_run_one_service_both(seed: int) -> None:
    world = World(seed)
    ran = 0
    for _unused in range(600):
        world.step()
        assert world.together == 0, f"seed {seed} at {world.now}"
        ran += sum(map(len, world.runs))
    assert ran > 50, "and they do run"
