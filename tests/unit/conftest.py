# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hypothesis makes up its inputs in unit tests.

By default the same inputs in each run, so that a commit is judged by its own faults only and a
loaded machine changes nothing. ``HYPOTHESIS_PROFILE=explore make check`` looks elsewhere each
time; what it finds becomes an ``@example`` of the test.

And where the agent is: `ansible-test units` does not read pyproject.toml, which says it to pytest.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

AGENT = str(Path(__file__).parents[2] / "files/piranha-agent/src")
if AGENT not in sys.path:
    sys.path.insert(0, AGENT)

settings.register_profile(
    "same",
    max_examples=40,  # the same ones each time; `make test-release` explores further
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# On the oldest Python, after the whole search on another: whether it runs there at all.
settings.register_profile("few", settings.get_profile("same"), max_examples=20)
settings.register_profile(
    "explore", max_examples=200, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
