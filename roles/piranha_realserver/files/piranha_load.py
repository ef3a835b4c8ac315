# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers the routers' question for this machine's load, and nothing else.

sshd runs it for the key of a router, whatever was asked for (`command=` in authorized_keys), and
says in SSH_ORIGINAL_COMMAND what that was. Two programs may be asked for, without arguments; no
shell sees a word of it. The role piranha_realserver writes it where `piranha_load_access` is true.
"""

from __future__ import annotations

import os
import sys

ANSWERED = {"uptime": "/usr/bin/uptime", "nproc": "/usr/bin/nproc"}


def main() -> int:
    """Become the program that was asked for; 1 with a sentence for any other."""
    program = ANSWERED.get(os.environ.get("SSH_ORIGINAL_COMMAND", "").strip())
    if program is None:
        sys.stderr.write(f"piranha-load: only {' and '.join(ANSWERED)} are answered here\n")
        return 1
    # Nothing of what the other side has sent along.
    os.execve(program, [program], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})  # noqa: S606 - no shell


if __name__ == "__main__":
    sys.exit(main())
