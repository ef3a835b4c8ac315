# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: a NAT cluster from bare machines, and what it survives. KEEP=1 leaves it running."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/lab")]
sys.dont_write_bytecode = True

from piranha_demo.main import main  # noqa: E402 - the path above must be set first

if __name__ == "__main__":
    sys.exit(main(ROOT))
