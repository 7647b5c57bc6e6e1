"""What a server costs that has nothing to do."""

import statistics
import time
from typing import List

from measure import Row, say
from product import Bench, Server

# How long after its start, or after a job, a server is called idle.
SETTLE_SECS = 3

AT_MOST_MB = 30
REPEAT = "python3 -B scripts/bench idle"


def rows(bench: Bench) -> List[Row]:
    """Memory after the start and after a job, and how long the start takes."""
    say("a server with nothing to do")
    starts = []
    for number in range(2 * bench.rounds + 1):
        with Server(bench, f"start-{number}") as server:
            starts.append(server.spoken.start_secs)
    with Server(bench, "idle") as server:
        time.sleep(SETTLE_SECS)
        fresh = server.memory_mb()
        options = {"format": "mp4", "width": 640}
        server.job(server.share(bench.phone), "video", options)
        time.sleep(SETTLE_SECS)
        used = server.memory_mb()
    return [
        memory("idle memory after the start", fresh),
        memory("idle memory after one job", used),
        Row("start of `serve`, new folder to listening",
            f"{statistics.median(starts):.2f} s", repeat=REPEAT),
    ]


def memory(name: str, found: dict) -> Row:
    """The resident size is judged: it is what an operator's tools show."""
    return Row(name, f"{found['Rss']:.1f} MB (Pss {found['Pss']:.1f})", target=f"< {AT_MOST_MB} MB",
               good=found["Rss"] < AT_MOST_MB, repeat=REPEAT)
