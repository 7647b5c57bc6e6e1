"""The pipeline's three tasks of one input, against their three ffmpeg commands one after the other."""

from typing import List

from measure import Cost, Row, compared, in_turn, machine_is_busy, say
from overhead import NICE, long_clip
from product import Bench, Server, run

AT_MOST = 0.80
REPEAT = "python3 -B scripts/bench pipeline"

TASKS = [
    ("video", {"format": "mp4", "width": 1920, "quality": "high", "copy": "never"}),
    ("image", {"format": "webp", "width": 640, "start": 2}),
    ("video", {"format": "mp4", "width": 480, "quality": "low", "copy": "never"}),
]


def rows(bench: Bench) -> List[Row]:
    """All three ends, from the one request to the last webhook; the source is on loopback."""
    with Server(bench, "pipeline", REELWAY_SLOTS="1") as server:
        busy = machine_is_busy()
        clip = long_clip(bench)
        url = server.share(clip)
        by_hand = [command(bench, clip, number, *task) for number, task in enumerate(TASKS)]

        def one_after_the_other() -> Cost:
            costs = [run(argv) for argv in by_hand]
            return Cost(sum(cost.wall_secs for cost in costs), sum(cost.cpu_secs for cost in costs))

        say(f"three tasks of {clip}")
        took = in_turn({
            "three ffmpegs by hand": one_after_the_other,
            "server, POST to last webhook": lambda: server.batch(url, TASKS),
        }, bench.rounds)
    return compared("three tasks", took, AT_MOST, REPEAT, "machine busy" if busy else "")


def command(bench: Bench, clip, number: int, kind: str, options: dict) -> List[str]:
    """What makes the task's output alone, by hand."""
    output = bench.folder / f"task-{number}.{options['format']}"
    flags = [word for name, value in options.items() if name != "format"
             for word in (f"--{name}", str(value))]
    return [*NICE, *bench.command_line(kind, clip, output, flags)]
