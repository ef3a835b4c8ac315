# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken lvs.cf files without number: mutations of real ones, each put through the whole library.

`python3 -m tests.fuzz.lvs_cf [--inputs 1000000] [--seed N] [--workers 2] [--file lvs.cf]...`
`python3 -m tests.fuzz.lvs_cf --seed N --only INDEX` shows one input and what comes of it.

An input follows from seed, index and files alone. What must hold of each: no exception, no more
than LIMIT seconds of processor time, the same bytes back, findings that point into the file; and
where there is no error, the written and the tidied text mean the same. One in COMMANDS goes
through the command line too, one in CLASSICS is judged by the old rules and read by pieces as well.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "files/piranha-agent/src"))

from piranha import config_cli  # noqa: E402 - path
from piranha.core.lvs_cf import directives as d  # noqa: E402
from piranha.core.lvs_cf.api import (  # noqa: E402
    CLASSIC,
    decode,
    digest,
    encode,
    load,
    to_data,
    write,
)
from piranha.core.lvs_cf.compare import differences  # noqa: E402
from piranha.core.lvs_cf.explain import example  # noqa: E402
from piranha.core.lvs_cf.layout import tidy  # noqa: E402
from piranha.core.lvs_cf.pieces import Reader  # noqa: E402

from tests.fuzz.many import Run, Share, chunks, options, share, shown, within  # noqa: E402

LIMIT = 2.0  # seconds of processor time for one input
CHUNK = 500
LONG = 400  # one input in so many gets a line that is very long
COMMANDS = 50
CLASSICS = 5
DATA = ROOT / "tests/unit/plugins/module_utils/lvs_cf/data"

WORDS = (
    "{", "}", "=", "#", '"', "'", "\\", "[", "]", "\t", "\r", "\r\n", "\n", "\0", "\x0c", "\ufeff",
    "\u2028", "\x85", "é", "virtual", "failover", "server", "virtual a {", "server b {", "0", "-1",
    "010", "0x10", "99999", "1e9", "9" * 30, "yes", "::1", "::ffff:1.2.3.4", "1.2.3", "256.1.1.1",
    "10.0.0.1/24", "eth0:1", "/33", "6s", ".5", "# piranha: ignore=A301", "piranha: ignore-file=",
)  # fmt: skip


def every_directive() -> str:
    """A file with every directive of the table in every block that takes it."""
    lines = []
    for kind, opening in (
        (d.GLOBAL, ""), (d.VIRTUAL, "virtual all {"), (d.SERVER, "server all {"),
        (d.FAILOVER, "}\n}\nfailover all {"),
    ):  # fmt: skip
        lines.append(opening)
        for name, row in d.TABLES[kind].rows.items():
            lines.append(f"    {name} = {example(row)}")
    return "\n".join([*lines, "}", ""])


def bases() -> list[str]:
    """The real files that are broken: all in the tests' data, and one with every directive."""
    files = sorted(DATA.glob("**/*.cf")) + sorted(DATA.glob("**/*.sample"))
    return [decode(path.read_bytes()) for path in files] + [every_directive()]


PARSER = argparse.ArgumentParser()
config_cli.register(PARSER.add_subparsers())
BASES = [text.splitlines(keepends=True) for text in bases()]


def broken(seed: int, index: int) -> bytes:
    """One input: some lines of a real file, changed up to eight times."""
    dice = random.Random(f"{seed}:{index}")
    lines = dice.choice(BASES)
    start = dice.randrange(len(lines))
    lines = lines[start : start + dice.choice((3, 10, 30, 1000))]
    text = "".join(lines)
    for _round in range(dice.randint(1, 8)):
        text = dice.choice(MUTATIONS)(dice, text)
    if dice.randrange(LONG) == 0:
        text = _insert(dice, text, dice.choice(WORDS) * dice.choice((1000, 20000)))
    data = encode(text)
    if dice.randrange(4) == 0 and data:  # bytes that are no text
        position = dice.randrange(len(data))
        data = data[:position] + dice.randbytes(dice.randint(1, 3)) + data[position + 1 :]
    return data


def _insert(dice: random.Random, text: str, new: str) -> str:
    position = dice.randint(0, len(text))
    return text[:position] + new + text[position:]


def _delete(dice: random.Random, text: str) -> str:
    start = dice.randint(0, len(text))
    return text[:start] + text[start + dice.choice((1, 1, 2, 10, 200)) :]


def _swap_words(dice: random.Random, text: str) -> str:
    words = text.split(" ")
    one, two = dice.randrange(len(words)), dice.randrange(len(words))
    words[one], words[two] = words[two], words[one]
    return " ".join(words)


def _move_line(dice: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    line = lines.pop(dice.randrange(len(lines)))
    lines.insert(dice.randint(0, len(lines)), line)
    return "".join(lines)


def _repeat_lines(dice: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    start = dice.randrange(len(lines))
    return "".join([*lines, *lines[start : start + dice.choice((1, 5, 20))]])


def _foreign_line(dice: random.Random, text: str) -> str:
    return text + dice.choice(dice.choice(BASES))


def _new_value(dice: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    index = dice.randrange(len(lines))
    key, equals, value = lines[index].partition("=")
    other = dice.choice((dice.choice(WORDS), example(dice.choice(d.DIRECTIVES)), "", value * 2))
    lines[index] = f"{key}{equals} {other}\n"
    return "".join(lines)


def _other_ends(dice: random.Random, text: str) -> str:
    return text.replace("\n", dice.choice(("\r\n", "\r", "\n\r", "")), dice.choice((-1, 1, 3)))


MUTATIONS: tuple[Callable[[random.Random, str], str], ...] = (
    lambda dice, text: _insert(dice, text, dice.choice(WORDS)),
    lambda dice, text: _insert(dice, text, dice.choice(WORDS)),
    lambda dice, text: _insert(dice, text, chr(dice.randrange(1, 0x2100))),
    lambda dice, text: _insert(dice, text, dice.choice(d.DIRECTIVES).name),
    _delete, _delete, _swap_words, _move_line, _repeat_lines, _foreign_line, _new_value,
    _new_value, _other_ends,
)  # fmt: skip


def judge(data: bytes, classic: bool = False) -> str:
    """What is wrong with how the library takes an input; an empty text if nothing is."""
    text = decode(data)
    loaded = load(text, "fuzz.cf")
    if classic:
        refused = load(text, "fuzz.cf", CLASSIC)
        if refused.config != loaded.config or len(refused.findings) < len(loaded.errors):
            return "the classic dialect changes more than findings"
        reader = Reader()
        for what in ("at first", "when its blocks are known"):
            reading = reader.load(text, "fuzz.cf")
            if (reading.config, reading.findings) != (loaded.config, loaded.findings):
                return f"read by pieces it means something else {what}"
        if reader.digest(reading) != digest(loaded.config):
            return "read by pieces it has another digest"
    if encode(loaded.document.text()) != data:
        return "the text did not come back as it was"
    count = len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    for found in loaded.findings:
        if not found.message or not 0 <= found.line <= count or "\n" in found.format():
            return f"a finding is not in order: {found!r}"
    json.dumps(to_data(loaded.config))
    tidied = tidy(loaded.document)
    if loaded.errors:
        return ""
    for what, other in (("tidied", tidied), ("written", write(loaded.config))):
        again = load(other)
        if again.errors:
            return f"the {what} text has errors: {again.errors[0].format()}"
        if again.config != loaded.config:
            return (
                f"the {what} text means something else: {differences(loaded.config, again.config)}"
            )
    return ""


def by_command(data: bytes) -> str:
    """What is wrong with how the command line takes an input."""
    for words in (("check", "-"), ("check", "--json", "-"), ("show", "-"), ("show", "--json", "-"),
                  ("format", "-"), ("format", "--diff", "-")):  # fmt: skip
        asked = PARSER.parse_args(["config", *words])
        given, out, err = sys.stdin, io.StringIO(), io.StringIO()
        sys.stdin = io.TextIOWrapper(io.BytesIO(data))
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = asked.run(asked)
        finally:
            sys.stdin = given
        if status not in (0, 1):
            return f"config {' '.join(words)} ended with {status}"
        if "--json" in words:
            json.loads(out.getvalue())
    return ""


def wrong(seed: int, index: int) -> str:
    """What is wrong with one input; an empty text if nothing is."""

    def judged() -> str:
        data = broken(seed, index)
        what = judge(data, index % CLASSICS == 0)
        return what or (by_command(data) if index % COMMANDS == 0 else "")

    return within(LIMIT, judged)


def some(asked: tuple[int, range]) -> Share:
    """Judge some inputs of a seed."""
    seed, indexes = asked
    return share(indexes, lambda index: wrong(seed, index))


def main(arguments: list[str]) -> int:
    """Command line; 1 if an input broke a promise."""
    parser = options("lvs_cf", __doc__)
    parser.add_argument("--file", action="append", default=[], help="a further file to break")
    asked = parser.parse_args(arguments)
    BASES.extend(decode(Path(name).read_bytes()).splitlines(keepends=True) for name in asked.file)
    if asked.only is not None:
        return shown(broken(asked.seed, asked.only), wrong(asked.seed, asked.only))
    print(f"{asked.inputs:,} inputs from {len(BASES)} files, seed {asked.seed}", flush=True)
    again = f"python3 -m tests.fuzz.lvs_cf --seed {asked.seed}"
    run = Run("lvs.cf", again, asked.inputs, asked.workers)
    return int(run.over(some, [(asked.seed, one) for one in chunks(asked.inputs, CHUNK)]) > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
