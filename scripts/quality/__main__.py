"""Measures what each encoder's numbers look like; see docs/quality.md.

    python3 -B scripts/quality measure     encodes what docs/quality.csv does not have yet
    python3 -B scripts/quality choose      the numbers of every level, from the table alone
    python3 -B scripts/quality plot        docs/images/quality-*.svg, from the table alone
"""

import sys

from choose import table
from clips import CLIPS
from measure import ENCODERS, point
from plot import plot
from table import add, read


def measure() -> None:
    """One encode after the other; stopped at any moment, it goes on where it was."""
    known = {(row.encoder, row.preset, row.crf, row.clip) for row in read()}
    for encoder in ENCODERS:
        for preset, crfs in encoder.crfs.items():
            for crf in crfs:
                for clip in CLIPS:
                    if (encoder.name, preset, crf, clip.name) not in known:
                        made = point(encoder, preset, crf, clip)
                        print(made, file=sys.stderr, flush=True)
                        add(made)


def main() -> None:
    """What the word after the name says."""
    what = sys.argv[1:]
    if what == ["measure"]:
        measure()
    elif what == ["choose"]:
        print(table(read()))
    elif what == ["plot"]:
        plot(read())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
