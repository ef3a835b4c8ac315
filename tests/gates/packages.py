# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make packages``: install the Debian packages that the lists name, if any is missing."""

from __future__ import annotations

from .layers import GATE_PACKAGES, LAB_PACKAGES
from .machine import ensure_packages, main_guarded, say, wanted_packages


def main() -> int:
    """Install what is missing; says so when nothing is."""
    names = [*wanted_packages(GATE_PACKAGES), *wanted_packages(LAB_PACKAGES)]
    ensure_packages(names, "for the tests and the lab")
    say(f"all {len(names)} Debian packages are installed")
    return 0


if __name__ == "__main__":
    main_guarded(main)
