# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share of the fuzzing of tests/fuzz in every run, and that it would see what it looks for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from piranha.core.lvs_cf import directives as d

from tests.fuzz import lvs_cf as fuzz

SHARE = range(2000)


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """some() sets a handler; the one of before comes back."""
    before = signal.getsignal(signal.SIGVTALRM)
    yield
    signal.signal(signal.SIGVTALRM, before)


def test_no_broken_file_breaks_a_promise() -> None:
    assert fuzz.some((1, SHARE)).failures == []


def test_an_input_follows_from_seed_and_index() -> None:
    assert fuzz.broken(1, 7) == fuzz.broken(1, 7)
    assert len({fuzz.broken(1, index) for index in range(200)}) > 190
    assert fuzz.broken(1, 7) != fuzz.broken(2, 7)


def test_every_directive_stands_in_the_files_that_are_broken() -> None:
    everything = "".join("".join(lines) for lines in fuzz.BASES)
    for row in d.DIRECTIVES:
        assert f" {row.name} = " in everything
    refused = [found for found in fuzz.load(fuzz.every_directive()).errors if found.code < "E3"]
    assert refused == []


def test_an_exception_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_document: object) -> str:
        raise RuntimeError("made up")

    monkeypatch.setattr(fuzz, "tidy", fails)
    failures = fuzz.some((1, range(3))).failures
    assert [failure.index for failure in failures] == [0, 1, 2]
    assert "made up" in failures[0].what


def test_a_hang_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(_document: object) -> str:
        while True:
            pass

    monkeypatch.setattr(fuzz, "tidy", hangs)
    monkeypatch.setattr(fuzz, "LIMIT", 0.05)
    (failure,) = fuzz.some((1, range(1))).failures
    assert failure.what.startswith("took more than 0.05 s")


def test_a_lost_text_or_meaning_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"primary = 192.0.2.1\n"
    assert fuzz.judge(data, classic=True) == ""
    assert fuzz.by_command(data) == ""
    monkeypatch.setattr(fuzz, "tidy", lambda _document: "primary = 192.0.2.2\n")
    assert fuzz.judge(data).startswith("the tidied text means something else")
    monkeypatch.setattr(fuzz, "write", lambda _config: "primary = \n")
    monkeypatch.setattr(fuzz, "tidy", lambda _document: data.decode())
    assert fuzz.judge(data).startswith("the written text has errors")
    monkeypatch.setattr(fuzz, "encode", lambda _text: b"")
    assert fuzz.judge(data) == "the text did not come back as it was"
