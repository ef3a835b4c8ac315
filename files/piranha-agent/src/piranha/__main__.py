# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m piranha` is the command `piranha`."""

from __future__ import annotations

import sys

from piranha.cli import main

if __name__ == "__main__":
    sys.exit(main())
