# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules about lvs.cf share in their documentation.

The directives' part is made from the language's own table, by the same function as the modules'
options, so that neither can lack what the other has.
"""

from __future__ import annotations

import json

from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_options import (
    documentation,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.directives import (
    FAILOVER,
    GLOBAL,
    SERVER,
    VIRTUAL,
)


class ModuleDocFragment:
    """Documentation fragments; the customary shape of community collections."""

    # For every module that changes the file.
    DOCUMENTATION = r"""
options:
  path:
    description:
      - The file. Its folder must exist.
      - Where it is a symbolic link, the link stays and the file behind it is replaced.
    type: path
    default: /etc/lvs.cf
  classic:
    description:
      - The file has to be one that Piranha 0.8.6 accepts, for a router that it still runs on.
      - Each line that it would refuse is an error then, for example a directive that came later.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Python 3.9 or later on the target.
notes:
  - The result is checked as a whole before it is written, under check mode too. With an error in it the file stays as it
    is, and the message names every error with its place and a remedy.
  - The file is read, changed and replaced in one step, from a file beside it. Tasks that change it at the same time wait for
    each other; when somebody else writes it meanwhile, the change is made again to what they wrote.
  - Every directive is described in C(docs/directives.md) of the collection's repository.
"""

    # For every module about one object.
    OBJECT = r"""
options:
  state:
    description:
      - V(present) adds the object or changes the directives that are given. All others stay as they are.
      - V(absent) removes it.
    type: str
    default: present
    choices: [present, absent]
notes:
  - Comments, blank lines, order, spelling and quotes of all that is not changed stay. What is added follows the file's own
    style.
"""

    # The same without `state`.
    EDITED = r"""
options: {}
notes:
  - Comments, blank lines, order, spelling and quotes of all that is not changed stay. What is added follows the file's own
    style.
"""

    COPY = r"""
options:
  backup:
    description: Keep a copy of the file that is replaced, with the time in its name.
    type: bool
    default: false
"""

    # Annotated, since ansible-test's yamllint takes a plain assignment for a text to read itself.
    GLOBALS: str = json.dumps(documentation(GLOBAL))
    VIRTUAL_SERVER: str = json.dumps(documentation(VIRTUAL))
    FAILOVER_SERVICE: str = json.dumps(documentation(FAILOVER))
    REAL_SERVER: str = json.dumps(documentation(SERVER))
