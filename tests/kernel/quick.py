# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ipvsadm -Sn` many times a minute: by a small shell that lives as long as the tests.

In user-mode Linux a fork of a large Python process takes a tenth of a second, one of this shell a
fraction of it. The shell is started in the tests' network namespace, at the first call.
"""

from __future__ import annotations

import subprocess
from functools import lru_cache

END = "end of output, status"


@lru_cache(maxsize=1)
def _shell() -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )


def saved() -> list[str]:
    """The lines of `ipvsadm -Sn`, as they come. Fails if it fails."""
    shell = _shell()
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(f'ipvsadm -Sn; echo "{END} $?"\n')
    shell.stdin.flush()
    lines: list[str] = []
    for line in shell.stdout:
        if line.startswith(END):
            assert line.strip() == f"{END} 0", lines
            return lines
        lines.append(line.strip())
    raise AssertionError(f"the shell that runs ipvsadm has ended: {lines}")
