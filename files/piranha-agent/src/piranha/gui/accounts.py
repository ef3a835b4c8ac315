# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in at the web page: the file of accounts, its hashes, and whether a password fits.

Reading, judging and changing are pure (text in, text out); `Accounts` reads the file for the page,
passwd_cli.py writes it for root. There is no account but those that somebody made.

A line each: `user NAME ROLE HASH` or `token NAME ROLE HASH`. A password's hash is scrypt's, and
PBKDF2's where the system's cryptography (FIPS) has no scrypt. A token is 256 random bits, so that
its SHA-256 is enough.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .protocol import ROLES, USERS, VIEW

USER, TOKEN = "user", "token"

SHORTEST, LONGEST = 10, 256
"""Characters of a password."""

SCRYPT = (15, 8, 3)
"""Logarithm of N, r, p: 32 MiB, a quarter of a second. OWASP's advice for such memory."""

ROUNDS = 600_000
"""Of PBKDF2-HMAC-SHA256."""

MEMORY = 64 * 1024 * 1024
SALT, SIZE = 16, 32
MOST_COST = (17, 16, 16)
"""A hash in the file that would cost more than this is not tried."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}")


class AccountError(ValueError):
    """It cannot be done, or the file makes no sense; the text is one sentence."""


@dataclass(frozen=True)
class Account:
    """One line of the file."""

    kind: str
    name: str
    role: str
    hash: str


def read(text: str) -> list[Account]:
    """Read the file's text. AccountError names the first line that is wrong: half a file of
    accounts would lock people out without a word.
    """
    found: list[Account] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 4 or words[0] not in (USER, TOKEN):  # noqa: PLR2004 - the four words above
            raise AccountError(f"line {number} is no account; use piranha-passwd to write the file")
        account = Account(*words)
        check_name(account.name)
        check_role(account.role)
        if find(found, account.kind, account.name) is not None:
            raise AccountError(f"line {number}: {account.name} stands there twice; remove one")
        found.append(account)
    return found


def write(accounts: Iterable[Account]) -> str:
    """Give the text of the file."""
    lines = ["# Accounts of the web page; written by piranha-passwd."]
    lines += [f"{one.kind} {one.name} {one.role} {one.hash}" for one in accounts]
    return "\n".join(lines) + "\n"


def find(accounts: Iterable[Account], kind: str, name: str) -> Account | None:
    """Give the account of that kind and name."""
    return next((one for one in accounts if (one.kind, one.name) == (kind, name)), None)


def check_name(name: str) -> None:
    """AccountError where a name cannot be one."""
    if not _NAME.fullmatch(name):
        raise AccountError(
            f"{name[:64]!r} is no name; take up to 64 letters, digits and . _ @ -, a letter first"
        )


def check_role(role: str) -> None:
    """AccountError where a role is none."""
    if role not in ROLES:
        raise AccountError(f"{role[:20]!r} is no role; there are {', '.join(ROLES)}")


def check_password(password: str, name: str) -> None:
    """AccountError where a password is too weak to be kept."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountError(f"a password has {SHORTEST} to {LONGEST} characters; take another one")
    if password.lower() == name.lower() or len(set(password)) < SHORTEST // 2:
        raise AccountError("this password would be guessed; take another one")


def hashed(password: str, salt: bytes | None = None) -> str:
    """Give the hash of a password as it stands in the file. salt: random unless given."""
    salt = secrets.token_bytes(SALT) if salt is None else salt
    try:
        log_n, r, p = SCRYPT
        digest = _scrypt(password, salt, SCRYPT)
        return f"scrypt:{log_n}:{r}:{p}:{_text(salt)}:{_text(digest)}"
    except (ValueError, AttributeError):  # FIPS: OpenSSL has no scrypt, or Python was built so
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS, SIZE)
        return f"pbkdf2:{ROUNDS}:{_text(salt)}:{_text(digest)}"


def fits(password: str, stored: str) -> bool:
    """Whether a password has that hash. Takes as long for a wrong one as for the right one."""
    words = stored.split(":")
    try:
        salt, digest = _bytes(words[-2]), _bytes(words[-1])
        if words[0] == "scrypt":
            log_n, r, p = map(int, words[1:4])
            if (log_n, r, p) > MOST_COST or r > MOST_COST[1] or p > MOST_COST[2]:
                return False
            made = _scrypt(password, salt, (log_n, r, p))
        elif words[0] == "pbkdf2":
            made = hashlib.pbkdf2_hmac(
                "sha256", password.encode(), salt, min(int(words[1]), 10 * ROUNDS), SIZE
            )
        else:
            return False
    except (ValueError, IndexError, AttributeError):
        return False
    return hmac.compare_digest(made, digest)


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    log_n, r, p = cost
    memory = max(MEMORY, 2 * 128 * r * (1 << log_n))
    return hashlib.scrypt(
        password.encode(), salt=salt, n=1 << log_n, r=r, p=p, maxmem=memory, dklen=SIZE
    )


def new_token() -> str:
    """Give a token nobody can guess; it begins so that tools which look for secrets know it."""
    return f"piranha_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    """Give what of a token stands in the file."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


class Accounts:
    """The file, for the page: read again whenever it has changed. Blocks; call it in a thread.

    A file that cannot be read lets nobody in. One password at a time is tried, so that many who
    try do not take all the memory; they wait for each other.
    """

    def __init__(self, path: Path = Path(USERS)) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._accounts: list[Account] = []
        self._trying = threading.Lock()
        self._reading = threading.Lock()
        self.trouble = ""
        """Why the file cannot be used, in a sentence; empty where it can."""

        self._nobody = hashed(secrets.token_hex())

    def login(self, name: str, password: str) -> str | None:
        """Give the role of a user whose password that is; None otherwise."""
        account = find(self._read(), USER, name)
        with self._trying:
            # A name that does not exist takes as long, so that names cannot be found out.
            stored = self._nobody if account is None else account.hash
            good = fits(password[: LONGEST + 1], stored)
        return account.role if good and account is not None else None

    def token(self, token: str) -> tuple[str, str] | None:
        """Give name and role of the machine whose token that is; None otherwise."""
        wanted = token_hash(token)
        found = None
        for account in self._read():
            same = hmac.compare_digest(account.hash.encode(), wanted.encode())
            if account.kind == TOKEN and same:
                found = (account.name, account.role)
        return found

    def role(self, name: str) -> str | None:
        """Give the role that a user has now; None if there is none such any more."""
        account = find(self._read(), USER, name)
        return None if account is None else account.role

    def _read(self) -> list[Account]:
        with self._reading:
            try:
                status = self._path.stat()
                seen = (status.st_mtime_ns, status.st_ino, status.st_size)
                if seen != self._seen:
                    self._accounts = read(self._path.read_text(encoding="utf-8"))
                    self._seen, self.trouble = seen, ""
            except (OSError, ValueError) as why:
                reason = why.strerror if isinstance(why, OSError) else str(why)
                self._seen, self._accounts = None, []
                self.trouble = f"{self._path}: {reason}"
            return self._accounts


def added(accounts: list[Account], name: str, role: str, password: str) -> list[Account]:
    """Give the accounts with one more user; AccountError."""
    check_name(name)
    check_role(role)
    if find(accounts, USER, name) is not None:
        raise AccountError(f"{name} is there already; use `change` for another password")
    check_password(password, name)
    return [*accounts, Account(USER, name, role, hashed(password))]


def changed(accounts: list[Account], name: str, password: str) -> list[Account]:
    """Give the accounts with another password of one user; AccountError."""
    account = _present(accounts, USER, name)
    check_password(password, name)
    return [
        Account(USER, name, one.role, hashed(password)) if one is account else one
        for one in accounts
    ]


def deleted(accounts: list[Account], name: str) -> list[Account]:
    """Give the accounts without a user or a token of that name; AccountError."""
    left = [one for one in accounts if one.name != name]
    if len(left) == len(accounts):
        raise AccountError(_unknown(accounts, name))
    return left


def with_role(accounts: list[Account], name: str, role: str) -> list[Account]:
    """Give the accounts with another role of a user or token; AccountError."""
    check_role(role)
    if not any(one.name == name for one in accounts):
        raise AccountError(_unknown(accounts, name))
    return [
        Account(one.kind, one.name, role, one.hash) if one.name == name else one for one in accounts
    ]


def with_token(accounts: list[Account], name: str, role: str, token: str) -> list[Account]:
    """Give the accounts with one more token; one of that name before is no longer valid."""
    check_name(name)
    check_role(role or VIEW)
    if find(accounts, USER, name) is not None:
        raise AccountError(f"{name} is a user; give the token another name")
    left = [one for one in accounts if (one.kind, one.name) != (TOKEN, name)]
    return [*left, Account(TOKEN, name, role, token_hash(token))]


def synced(accounts: list[Account], wanted: Iterable[tuple[str, str, str]]) -> list[Account]:
    """Give the accounts with exactly these users (name, role, password); tokens stay.

    A password that fits keeps its hash, so that nothing changes where nothing has to.
    """
    made: list[Account] = []
    for name, role, password in wanted:
        check_name(name)
        check_role(role)
        check_password(password, name)
        if find(made, USER, name) is not None:
            raise AccountError(f"{name} is given twice; give each user once")
        there = find(accounts, USER, name)
        keeps = there is not None and fits(password, there.hash)
        stored = there.hash if there is not None and keeps else hashed(password)
        made.append(Account(USER, name, role, stored))
    return [*made, *(one for one in accounts if one.kind == TOKEN)]


def _present(accounts: list[Account], kind: str, name: str) -> Account:
    account = find(accounts, kind, name)
    if account is None:
        raise AccountError(_unknown(accounts, name))
    return account


def _unknown(accounts: list[Account], name: str) -> str:
    known = ", ".join(sorted(one.name for one in accounts)) or "none"
    return f"there is no account {name[:64]!r}; there are: {known}"
