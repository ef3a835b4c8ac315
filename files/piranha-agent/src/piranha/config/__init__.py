# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `piranha config` does, one room a subcommand; config_cli.py registers them.

They need the standard library only, so that they also run where nothing of the agent is
installed.
"""
