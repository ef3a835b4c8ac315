# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two routers, a network that loses things and a made-up clock, all drawn from one seed.

The routers run the very engine and the very rules of supervision that run in production; the
rest is modelled. `python -m tests.simulation SEED` plays a seed again and tells what happened.

    world.py     the clock, and who is there
    network.py   what happens to datagrams on the way; which router the clients reach
    router.py    a machine: kernel, files, supervisor, heart's shell
    faults.py    what goes wrong, and what operators do
    scenes.py    two faults that must meet within a moment
    promises.py  what must hold, and for how long it may not
    mutants.py   faults planted in our own code, each of which must be found
    runs.py      many seeds, in several processes
"""
