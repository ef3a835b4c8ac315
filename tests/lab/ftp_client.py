# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches a file by passive FTP some times and prints what came: `ftp_client.py ADDRESS TIMES`.

It believes the address that the server tells it for the data, as FTP clients of old do: through a
router by NAT that works only where the router has written its own over it.
"""

from __future__ import annotations

import ftplib
import sys

LIMIT = 10.0


class Believing(ftplib.FTP):
    """A client that connects where the server says."""

    trust_server_pasv_ipv4_address = True


def main() -> int:
    """Run the command: a line for each file, 1 with a sentence where one did not come."""
    for _unused in range(int(sys.argv[2])):
        lines: list[str] = []
        try:
            with Believing(sys.argv[1], "anonymous", "nobody@example.org", timeout=LIMIT) as client:
                client.retrlines("RETR name", lines.append)
        except (*ftplib.all_errors,) as problem:
            print(f"ftp: {sys.argv[1]}: {problem}", file=sys.stderr)
            return 1
        print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
