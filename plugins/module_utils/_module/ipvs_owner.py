# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which virtual services are lvsd's, the daemon of the agent, and the refusal to change them.

Private to this collection. It reads what a running agent leaves in its folder; nothing of the
agent's code is needed for it, and nothing is written.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from ..ipvs.errors import IpvsError
from ..ipvs.model import ServiceKey
from ..ipvs.plan import Operation

RUN_DIR = Path("/run/piranha")
PATIENCE = 2.0  # seconds for connecting; a socket of this machine answers at once or never


def owned_by_lvsd() -> frozenset[ServiceKey]:
    """The services of a running lvsd; none where no agent answers. IpvsError if that is unclear."""
    if not _agent_answers(RUN_DIR / "control.sock"):
        return frozenset()
    path = RUN_DIR / "owned.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(ServiceKey(**entry) for entry in data["services"])
    except FileNotFoundError:
        return frozenset()  # an agent that manages other things, or has not begun
    except (OSError, ValueError, KeyError, TypeError, IpvsError) as error:
        raise IpvsError(
            str(path),
            f"it does not tell which services are lvsd's ({error})",
            "see 'piranha status', or use force to change the table all the same",
        ) from None


def _agent_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(str(path))
        except PermissionError:
            return True  # somebody is there, and we may not ask
        except OSError:
            return False
    return True


def refuse_owned(operations: Iterable[Operation], owned: Collection[ServiceKey]) -> None:
    """IpvsError if one of the operations changes a service that lvsd owns."""
    touched = sorted({operation.service for operation in operations} & set(owned))
    if not touched:
        return
    names = ", ".join(str(key) for key in touched)
    what = "a virtual service" if len(touched) == 1 else "virtual services"
    raise IpvsError(
        f"{what} of lvsd ({names})",
        "lvsd keeps them equal to lvs.cf and would undo the change",
        "use piranha_server for the weight of a real server and lvs_cf for the rest, "
        "or force: true to change the table all the same",
    )
