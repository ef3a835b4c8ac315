# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules about the IPVS table do with the library: its answers as results, its errors as
failures in one sentence.

Private to this collection. What a table is and how the kernel is asked is in module_utils/ipvs.
"""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from ..ipvs.data import to_data
from ..ipvs.errors import IpvsError
from ..ipvs.ipvsadm import table_lines
from ..ipvs.kernel import Kernel


def run_info(module: AnsibleModule) -> None:
    """Read the table and leave the module with it, or with one sentence."""
    counters = bool(module.params["counters"])
    try:
        with Kernel() as kernel:
            snapshot = kernel.snapshot(counters)
    except IpvsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        services=to_data(snapshot, counters),
        commands=table_lines(snapshot.table),
    )
