"""The pipeline's three tasks of one input against their three ffmpegs one after the other; 1080p and 4K."""

import subprocess
from pathlib import Path
from typing import Dict, List

from measure import Cost, Row, compared, in_turn, machine_is_busy, say
from overhead import NICE, long_clip
from product import Bench, Server, flags_of, run

AT_MOST = 0.80
REPEAT = "python3 -B scripts/bench pipeline"

# How long the large film is, in seconds: as much work as the long clip.
LARGE_SECS = 10


def tasks(quality: str) -> List[tuple]:
    """The pipeline's; it asks for `high`."""
    return [
        ("video", {"format": "mp4", "width": 1920, "quality": quality, "copy": "never"}),
        ("image", {"format": "webp", "width": 640, "start": 2}),
        ("video", {"format": "mp4", "width": 480, "quality": "low", "copy": "never"}),
    ]


def rows(bench: Bench) -> List[Row]:
    """All three ends, from the one request to the last webhook; the source is on loopback."""
    with Server(bench, "pipeline", REELWAY_SLOTS="1") as server:
        busy = "machine busy" if machine_is_busy() else ""
        clip = long_clip(bench)
        of = {"three tasks": (clip, "high"), "three tasks, quality medium": (clip, "medium")}
        if not bench.given:
            of["three tasks of 4K"] = (large_film(bench), "high")
        return [row for name, (film, quality) in of.items()
                for row in compared(name, taken(bench, server, film, tasks(quality)), AT_MOST,
                                    REPEAT, busy)]


def taken(bench: Bench, server: Server, clip: Path, wanted: List[tuple]) -> Dict[str, Cost]:
    """What both ways cost."""
    url = server.share(clip)
    by_hand = [command(bench, clip, number, *task) for number, task in enumerate(wanted)]

    def one_after_the_other() -> Cost:
        costs = [run(argv) for argv in by_hand]
        return Cost(sum(cost.wall_secs for cost in costs), sum(cost.cpu_secs for cost in costs))

    say(f"three tasks of {clip}")
    return in_turn({
        "three ffmpegs by hand": one_after_the_other,
        "server, POST to last webhook": lambda: server.batch(url, wanted),
    }, bench.rounds)


def large_film(bench: Bench) -> Path:
    """The phone's clip as a phone that films in 4K would have it."""
    film = bench.folder / "large.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "1000", "-i", bench.phone,
         "-t", str(LARGE_SECS), "-vf", "scale=3840:2160,format=yuv420p", "-c:v", "libx264",
         "-preset", "superfast", "-b:v", "45M", "-c:a", "copy", "-y", film], check=True)
    return film


def command(bench: Bench, clip: Path, number: int, kind: str, options: dict) -> List[str]:
    """What makes the task's output alone, by hand."""
    output = bench.folder / f"task-{number}.{options['format']}"
    return [*NICE, *bench.command_line(kind, clip, output, flags_of(options))]
