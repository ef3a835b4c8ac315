# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection can say about itself, said once.

A module names C(piranha.lvs.attributes) and one or two of the fragments below it and adds
C(support) (and C(details) where support is partial). No options live here.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments; the customary shape of community collections."""

    # Blocks that each module completes with its own support level.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a relevant way.
  platform:
    description: Target OS or families that can be operated against.
    support: full
    platforms: linux
"""

    # For a module that only reads: nothing to predict, nothing to compare.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    support: full
    details:
      - This module does not modify state.
"""

    # Needs meta/runtime.yml to list the module in the group.
    ACTIONGROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/piranha.lvs.all) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - piranha.lvs.all
"""
