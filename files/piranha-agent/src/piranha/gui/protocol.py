# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words between the web page and the agent's editor, on a socket of their own; pure, no socket.

The page (user piranha-gui, no right at all) asks; the editor (`piranha editor`, root, no network)
decides and does. Framing as on the control socket, one JSON object a line, answers in any order:

    {"id": 1, "do": "preview", "by": {"user": "ann", "role": "edit"}, "digest": D, "text": T}
    {"id": 1, "ok": true, "result": {...}}
    {"id": 1, "ok": false, "error": "one sentence", "code": "conflict", "details": {...}}

`by` is the person at the browser. It is believed only downwards: what may be done is the lesser of
that role and the ceiling of /etc/piranha/gui.json (view < operate < edit), whatever the page says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SOCKET = "/run/piranha/gui.sock"
SETTINGS = "/etc/piranha/gui.json"
USERS = "/etc/piranha/gui-users"
SCRIPTS = "/etc/piranha/scripts"
"""Programs that the page may choose from: files of root's, in a folder of root's."""

PAGE_USER = "piranha-gui"
PORT = 3636

VIEW, OPERATE, EDIT = "view", "operate", "edit"
ROLES = (VIEW, OPERATE, EDIT)
"""From the least to the most; each may do what those before it may."""

MAX_REQUEST = 8 * 1024 * 1024
"""Bytes in one request: the text of a file of 4,000 virtual servers fits."""

LONGEST_WAIT = 25.0
"""Seconds that `events` may wait for something to tell."""

LONGEST_REASON = 500
"""Characters of a reason or of a user's name in what is kept and logged; more is refused."""

REQUESTS = {
    "status": (VIEW, "what `piranha status --json` shows; one reading serves all within a second"),
    "events": (VIEW, "events after a number; waits for the next one if there is none"),
    "metrics": (VIEW, "the page for Prometheus, as text"),
    "config": (VIEW, "lvs.cf as it is now, with its digest"),
    "preview": (VIEW, "what a text would mean in its place; changes nothing"),
    "history": (VIEW, "who changed lvs.cf by the page, when, why"),
    "old": (VIEW, "the text of one entry of the history"),
    "programs": (VIEW, "the programs that may be chosen, and those that the file names already"),
    "check_now": (OPERATE, "make the check of a real server once, and explain the outcome"),
    "order": (OPERATE, "drain, maintenance, enable, weight, switchover, reload"),
    "write": (EDIT, "put a text in the place of lvs.cf and in force, or change nothing"),
    "keep": (EDIT, "keep what somebody has changed on the page and not written yet, or forget it"),
    "kept": (EDIT, "what was kept last for whoever asks"),
    "partner": (VIEW, "ask the other router's editor; the role is that of what is asked"),
    "rights": (VIEW, "what this page may do at the most, and whether Ansible manages the file"),
    "login": (VIEW, "tell the log that somebody logged in, out, or in vain"),
}
"""Everything that can be asked: the role it takes, and one line of help."""

ARGUMENTS = {
    "events": "after: number of the last event known (0: all that are kept); wait: seconds",
    "preview": "digest, text",
    "old": "number",
    "check_now": "virtual, server",
    "order": "order; server, virtual (None: every one that has it), value (of weight: 0 to 65535"
    " or 'configured'), why",
    "write": "digest, text, why",
    "keep": "draft: a text of the page's, empty to forget",
    "partner": "ask: {do, and what it takes}; do one of config, preview, write, order, history,"
    " old, rights. The answer is the partner's own",
    "login": "event: 'in', 'out', 'failed' or 'locked'; address: of the browser",
}
"""What requests carry beside `by`; `events` gives {events: [{number, time, level, from, text}],
last: N}, `metrics` and `old` give {text}, `history` gives {entries: [Entry]}, newest first, `kept`
gives {draft}, `programs` gives {folder, programs: [Program]}, `order` gives {words: [sentence],
warnings}."""

ORDERS = ("drain", "maintenance", "enable", "weight", "switchover", "reload")

FORBIDDEN, CONFLICT, INVALID, REFUSED, UNAVAILABLE, UNKNOWN = (
    "forbidden",  # the role or the ceiling does not reach
    "conflict",  # the file is another one by now; details: {digest, who, when, why}
    "invalid",  # the text has errors; details: {findings}
    "refused",  # it may not or cannot be done; the sentence says why
    "unavailable",  # pulse does not run or does not answer
    "unknown",  # there is no such request, entry, server
)
CODES = (FORBIDDEN, CONFLICT, INVALID, REFUSED, UNAVAILABLE, UNKNOWN)
"""Of an answer that is not ok. A page maps them to 403, 409, 422, 400, 503 and 404."""


@dataclass(frozen=True)
class Actor:
    """The person (or machine token) at whose wish the page asks."""

    user: str
    role: str


@dataclass(frozen=True)
class Rights:
    """Answer to `rights`.

    ceiling: the most that this page may do here. editing: whether `write` is open at all; if not,
    why_not says it in a sentence with the remedy. managed_by_ansible: the marker is in the file.
    """

    ceiling: str
    editing: bool
    why_not: str
    managed_by_ansible: bool
    cluster: str = ""
    playbook: str = ""
    """What to run instead, where Ansible manages the file."""


@dataclass(frozen=True)
class FileState:
    """Answer to `config`.

    digest: of the text's bytes (SHA-256, hexadecimal), to be given back with preview and write.
    in_force: whether the running pulse works by this text; None where no pulse has run.
    """

    text: str
    digest: str
    serial: int
    managed_by_ansible: bool
    in_force: bool | None
    path: str = "/etc/lvs.cf"


@dataclass(frozen=True)
class Change:
    """One difference in meaning. block: ["virtual web", "server one"], [] for the globals.

    words: the whole in a sentence. before, after: as people write it; None: not there.
    """

    block: list[str]
    directive: str
    before: str | None
    after: str | None
    words: str


@dataclass(frozen=True)
class Preview:
    """Answer to `preview`.

    findings: of the text, each with the fields of lvs_cf's Finding.
    refused: sentences that forbid `write` (program directives, a marker that would go, ...).
    errors: how many findings are errors; they forbid it too. conflict: the file is no longer the
    one with that digest. table: what would change in the kernel's table, as lines of ipvsadm;
    table_note says what these lines suppose, or why there are none.
    """

    findings: list[dict[str, Any]]
    errors: int
    text_diff: list[str]
    meaning: list[Change]
    table: list[str]
    table_note: str
    refused: list[str]
    conflict: bool
    yaml: str = ""
    """Where Ansible manages the file: the same change as variables for the inventory."""


@dataclass(frozen=True)
class Written:
    """Answer to `write`.

    backup: the number of the history's entry that holds the text before. in_force: whether the
    running pulse took it; False only where pulse does not run, which note says.
    """

    digest: str
    serial: int
    backup: int
    in_force: bool
    note: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """One entry of `history`: a change made by the page. at: seconds since the epoch.

    difference: the change in words, at most 50 sentences. before, after: digests. outcome:
    "in force", "written" (pulse did not run), "taken back" (pulse refused it; note says why) or
    "begun" (the editor was ended in the middle; the file is the one before or the one after).
    `old` with its number gives the text BEFORE the change.
    """

    number: int
    at: float
    user: str
    role: str
    why: str
    before: str
    after: str
    outcome: str
    note: str
    difference: list[str]


@dataclass(frozen=True)
class Program:
    """One program that may stand in a directive that names programs."""

    path: str
    fit: bool
    why_not: str = ""
    """Why it may not be chosen though it is in the folder: not root's, writable by others ..."""


@dataclass(frozen=True)
class Checked:
    """Answer to `check_now`. verdict: up, down or unchecked. lines: as `piranha nanny` says it."""

    verdict: str
    lines: list[str]


BY_LVSD = "  by:    lvsd, since this check takes a right that the page's editor has not"
"""A line of `Checked`: the check was lvsd's own, and counts as every other one."""


def plain(answer: Any) -> dict[str, Any]:
    """Give an answer's dataclass as what JSON holds."""
    return asdict(answer)


def lesser(one: str, other: str) -> str:
    """Give the lesser of two roles; what is no role counts as less than every other: ''."""
    if one not in ROLES or other not in ROLES:
        return ""
    return min(one, other, key=ROLES.index)


def may(role: str, request: str) -> bool:
    """Whether a role reaches for a request."""
    needed = REQUESTS.get(request)
    return needed is not None and role in ROLES and ROLES.index(role) >= ROLES.index(needed[0])
