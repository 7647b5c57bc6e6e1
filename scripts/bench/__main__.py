"""Compares Reelway with ffmpeg typed by hand, side by side in one run.

    python3 -B scripts/bench [GROUP ...]

Each group is a file of its own with a `rows(bench)`; without names all of them run. INPUT=
takes your own video, ROUNDS= how often each way is taken (3). Exit code 1: a target was missed.

The time of processors is shown beside the time on the clock: what else the machine does at the
same time changes the second much and the first little.
"""

import os
import signal
import sys

import admission
import gateway
import idle
import intake
import overhead
import pieces
import pipeline
import remux
import stills
import webhooks
from measure import shown
from product import Bench, build

GROUPS = {"overhead": overhead, "gateway": gateway, "pipeline": pipeline, "remux": remux,
          "pieces": pieces, "admission": admission, "stills": stills, "idle": idle,
          "intake": intake, "webhooks": webhooks}


def main() -> int:
    names = sys.argv[1:] or list(GROUPS)
    if unknown := [name for name in names if name not in GROUPS]:
        print(f"bench: there is no group {unknown[0]}; there are {', '.join(GROUPS)}",
              file=sys.stderr)
        return 2
    bench = Bench(build(), os.environ.get("INPUT"), int(os.environ.get("ROUNDS", "3")))
    rows = [row for name in names for row in GROUPS[name].rows(bench)]
    print(shown(rows))
    return 0 if all(row.good is not False for row in rows) else 1


def interrupted(*_) -> None:
    """Ends like Ctrl-C, so that nothing is left running."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
