# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run layers of tests in order, quick ones first, and close with a table of what ran.

``python3 -m tests.gates.run check`` (or any other name in layers.PLANS; several may be given).
The first layer that fails ends the run with status 1, after all of its own steps have run;
``--keep-going`` runs the others as well. The last line is ``N passed, N failed``.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from .layers import LAYERS, PLANS, Layer
from .machine import Trouble, ensure_packages, main_guarded, say
from .steps import Count, Outcome, Step, run_step, stop_all


def run_layer(layer: Layer) -> Iterator[Outcome]:
    """Install what the layer needs, then run every step of it; gives each as it ends."""
    say(f"=== {layer.name}: {layer.title}")
    ensure_packages(layer.packages(), f"for {layer.name}")
    steps = layer.steps()
    alone = len(steps) if layer.at_once == 1 else layer.first
    for step in steps[:alone]:
        yield run_step(step, layer.name)
    lanes: dict[str, list[Step]] = {}
    for step in steps[alone:]:
        lanes.setdefault(step.lane or step.name, []).append(step)
    with ThreadPoolExecutor(layer.at_once) as pool:
        running = [pool.submit(_run_lane, lane, layer.name) for lane in lanes.values()]
        try:
            for future in running:
                yield from future.result()
        except BaseException:
            stop_all()
            raise


def _run_lane(steps: list[Step], layer: str) -> list[Outcome]:
    return [run_step(step, layer, beside_others=True) for step in steps]


def table(
    results: list[tuple[str, Outcome]], left: list[str], why: str, seconds: float
) -> list[str]:
    """The closing lines: a row a step, the layers that did not run, the totals."""
    rows = [("layer", "step", "result", "tests", "seconds", "")]
    total = Count()
    for layer, outcome in results:
        count = outcome.count
        total = total + count
        result = "not run" if outcome.status is None else "passed" if outcome.good else "FAILED"
        tests = str(count.passed + count.failed)
        remark = outcome.note
        if count.left:
            remark = f"{count.left} left to make test-all {remark}".strip()
        if count.skipped:
            remark = f"{count.skipped} skipped {remark}".strip()
        rows.append((layer, outcome.step.name, result, tests, f"{outcome.seconds:.1f}", remark))
    rows += [(layer, "all", "not run", "0", "0.0", why) for layer in left]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = []
    for row in rows:
        cells = [row[i].ljust(widths[i]) for i in range(3)]
        cells += [row[i].rjust(widths[i]) for i in (3, 4)]
        lines.append("  ".join([*cells, row[5]]).rstrip())
    failures = [
        f"{'unsteady' if outcome.good else 'FAILED'}: {layer}: {each}"
        for layer, outcome in results for each in outcome.failures
    ]
    lines += [""] * bool(failures) + failures
    names = list(dict.fromkeys(result[0] for result in results))
    lines += ["", f"ran: {', '.join(names) or 'nothing'}; {seconds:.0f} s in all"]
    if left:
        lines.append(f"did NOT run: {', '.join(left)}")
    failed = max(total.failed, int(bool(left)))  # what did not run has not passed
    return [*lines, f"{total.passed} passed, {failed} failed"]


def main() -> int:
    """Command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="tests.gates.run", description=__doc__)
    parser.add_argument("plan", nargs="+", choices=sorted({*PLANS, *LAYERS}))
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failed layer")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = list(dict.fromkeys(n for plan in asked.plan for n in PLANS.get(plan, (plan,))))
    began = time.monotonic()
    results: list[tuple[str, Outcome]] = []
    status, why = 0, "an earlier layer failed"
    left = list(names)
    try:
        for name in names:
            good = True
            for outcome in run_layer(LAYERS[name]):
                results.append((name, outcome))
                good = good and outcome.good
            left.remove(name)
            if not good:
                status = 1
                if not asked.keep_going:
                    break
    except Trouble as trouble:
        why = f"stopped: {trouble}"
        status = 1
    except KeyboardInterrupt:
        why = "interrupted"
        status = 130
    say("\n" + "\n".join(table(results, left, why, time.monotonic() - began)))
    return status


if __name__ == "__main__":
    main_guarded(main)
