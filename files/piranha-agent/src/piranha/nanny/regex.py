# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""POSIX extended regular expressions, by the C library.

The original compared with regcomp(3) and regexec(3), so its files mean just that dialect. They
also do not backtrack where no back-reference is used: a real server cannot keep lvsd busy with
an answer made for that, as it could with Python's own `re`.
"""

from __future__ import annotations

import ctypes
from functools import cache

# regex.h of glibc
_REG_EXTENDED = 1
_REG_NOSUB = 8
_REG_STARTEND = 4
_REGEX_T_SIZE = 512
"""Larger than regex_t of every C library in question (glibc: 64 bytes)."""


class _Match(ctypes.Structure):
    _fields_ = (("start", ctypes.c_int), ("end", ctypes.c_int))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


class RegexError(ValueError):
    """The expression cannot be compiled; the text says why."""


class Regex:
    """A compiled expression. Lives as long as the process: see `compiled`."""

    def __init__(self, pattern: bytes) -> None:
        """Compile `pattern`; raises RegexError with the C library's words."""
        self._compiled = ctypes.create_string_buffer(_REGEX_T_SIZE)
        if b"\0" in pattern:
            raise RegexError("a regular expression cannot hold a NUL byte")
        flags = _REG_EXTENDED | _REG_NOSUB
        code = _libc().regcomp(self._compiled, pattern, flags)
        if code:
            words = ctypes.create_string_buffer(200)
            _libc().regerror(code, self._compiled, words, ctypes.c_size_t(len(words)))
            raise RegexError(words.value.decode("ascii", "replace"))

    def search(self, data: bytes) -> bool:
        """Tell whether the expression matches anywhere in `data`, NUL bytes included."""
        span = _Match(0, len(data))
        found: int = _libc().regexec(
            self._compiled, data, ctypes.c_size_t(1), ctypes.byref(span), _REG_STARTEND
        )
        return found == 0


@cache
def compiled(pattern: bytes) -> Regex:
    """Compile once. A process sees few expressions, and regfree(3) is never needed."""
    return Regex(pattern)
