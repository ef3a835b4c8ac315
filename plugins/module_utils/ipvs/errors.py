# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of the IPVS library. It words what went wrong; it decides nothing."""

from __future__ import annotations


class IpvsError(Exception):
    """One sentence: where, why, and what helps.

    Args:
        place: what it is about, for example ``virtual service tcp 192.0.2.1:80``.
        reason: what is wrong, without a full stop.
        remedy: what the reader can do; may be empty.
        errno: the kernel's error number, where the kernel said no; else None.
    """

    def __init__(self, place: str, reason: str, remedy: str = "", errno: int | None = None) -> None:
        super().__init__(place, reason, remedy, errno)
        self.place = place
        self.reason = reason
        self.remedy = remedy
        self.errno = errno

    def __str__(self) -> str:
        sentence = f"{self.place}: {self.reason}"
        return f"{sentence}; {self.remedy}." if self.remedy else f"{sentence}."
