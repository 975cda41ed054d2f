"""Random networks that are right but awkward, and errors planted in gradients: what `derive gradcheck` says.

    python -m bench.gradcheck_campaign --networks 300 --errors 300

No right network may fail, and of a hundred errors at least 99 must be found; both lists are printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from awkward_networks import KINDS, awkward, checked, planted, plants  # noqa: E402

from chainrule.evaluate.reference import NumericReference  # noqa: E402
from chainrule.runtime.gradcheck import check_gradients  # noqa: E402

PER_NETWORK = 5  # errors in one network, of the kinds that come next


def right(seeds: range) -> Iterator[str]:
    """Yield the right networks that fail, with the rows that do."""
    for seed in seeds:
        report = checked(awkward(seed))
        if not report.passed:
            bad = [f"{row.tensor} {row.verdict} {row.stage}" for row in report.rows if not row.passed]
            yield f"seed {seed} ({KINDS[seed % len(KINDS)]}): {'; '.join(bad)}"


def wrong(count: int, first: int) -> Iterator[tuple[str, bool]]:
    """Yield errors, every kind in turn, with whether each was found."""
    done, seed, kind = 0, first, 0
    while done < count:
        network = awkward(seed)
        reference = NumericReference(network.spec)
        possible = plants(network, seed, reference.zero)
        for step in range(min(PER_NETWORK, count - done)):
            plant = possible[(kind + step) % len(possible)]
            report = check_gradients(planted(network.program, plant), reference=reference)
            yield f"seed {seed} ({KINDS[seed % len(KINDS)]}): {plant}", not report.passed
            done += 1
        seed, kind = seed + 1, kind + PER_NETWORK


def main() -> int:
    """Run both campaigns and print what they found; 1 where one of them fell short."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=300, help="right networks")
    parser.add_argument("--errors", type=int, default=300, help="planted errors")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    began = time.process_time()
    seeds = range(options.first, options.first + options.networks)
    failed = []
    for line in right(seeds):
        failed.append(line)
        print(f"fails      {line}", flush=True)
    middle = time.process_time()
    missed, errors = [], 0
    for line, found in wrong(options.errors, options.first):
        errors += 1
        if not found:
            missed.append(line)
            print(f"not found  {line}", flush=True)
    result: dict[str, Any] = {
        "networks": len(seeds),
        "failed": failed,
        "errors": errors,
        "missed": missed,
        "seconds": [round(middle - began), round(time.process_time() - middle)],
    }
    print(json.dumps(result, indent=2))
    return int(bool(failed) or len(missed) > errors // 100)


if __name__ == "__main__":
    sys.exit(main())
