"""Hostile documents at every door: whatever is written into a key, nothing comes out but a problem of that
key. `python -m bench.doors 150000` tries as many; what it finds is printed with its seed.
"""

import argparse
import random
import time
from collections import Counter

from bench.figures import row
from tests.doors import DOORS, knock, some_doors
from tests.hostile import document


def main() -> int:
    """Try them, each from a seed of its own; return 1 when anything else than a problem came out."""
    parser = argparse.ArgumentParser(prog="python -m bench.doors", description=__doc__)
    parser.add_argument(
        "count", nargs="?", type=int, default=5000, help="documents (default: 5000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    args = parser.parse_args()
    found: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(args.seed, args.seed + args.count):
        for wrong in knock(document(random.Random(seed)), some_doors(seed)):
            kind = wrong.partition(" for b")[0]
            found[kind] += 1
            if found[kind] == 1:
                print(f"seed {seed}: {wrong}", flush=True)
    spent = time.monotonic() - began
    what = f"{args.count} documents at {len(DOORS)} doors (at those beside the store in turn), {spent:.0f} s: raised"
    row(what, str(found.total()), "nothing but a problem", not found)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
