# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kernel treats the heart: before others, in memory, and not ended when pulse is."""

from __future__ import annotations

import ctypes
import os

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # linux/mman.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
PRIORITY = 10
"""Above ordinary programs, below the kernel's own real-time threads."""


def raise_priority() -> str:
    """Lock memory and take real-time priority that children do not inherit.

    Gives a sentence about what was not allowed, empty if nothing. Pages are locked as they are
    touched: touching all at once would cost seconds in a virtual machine.
    """
    refused = []
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        refused.append(f"its memory is not locked ({os.strerror(ctypes.get_errno())})")
    try:
        parameters = os.sched_param(PRIORITY)
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, parameters)
    except OSError as error:
        refused.append(f"it has no real-time priority ({error.strerror})")
    if not refused:
        return ""
    return f"the heart runs with less than it wants: {' and '.join(refused)}"


def outlive_parent() -> None:
    """Get no signal when pulse dies: the heart sees its link close then, and lets go properly.

    A heart that was killed with pulse would leave the addresses in the kernel until somebody has
    started a program to remove them, often longer than the partner waits.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)
