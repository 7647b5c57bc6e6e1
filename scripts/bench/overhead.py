"""A job through Reelway against the same ffmpeg command typed by hand."""

import math
import os
import subprocess
from pathlib import Path
from typing import List

from measure import Cost, Row, compared, in_turn, machine_is_busy, say
from product import Bench, Server, flags_of, run

# How long the encode takes at least on processors that have nothing else to do: a cost that is
# the same for every job counts by how long the job is.
ENCODE_SECS = 20

# A worker is nicer than its server, so that the server answers while processors are busy; by
# hand it is made the same. On a machine with nothing else to do it changes nothing; on any other
# it would measure the neighbours.
NICE = ["nice", "-n", "10"]

AT_MOST = 1.03
REPEAT = "python3 -B scripts/bench overhead"

BY_HAND = "ffmpeg by hand"
VIDEO = {"format": "mp4", "width": 1920, "quality": "high", "copy": "never"}
THUMBNAIL = {"format": "webp", "width": 640, "start": 1}


def rows(bench: Bench) -> List[Row]:
    """A long encode, which has the target, and a thumbnail, where the fixed cost shows."""
    with Server(bench, "overhead") as server:
        busy = machine_is_busy()
        clip = long_clip(bench)
        url = server.share(clip)
        say(f"a video of {clip}")
        video = in_turn(ways(bench, server, clip, url, "video", VIDEO), bench.rounds)
        say(f"a thumbnail of {clip}")
        still = in_turn(ways(bench, server, clip, url, "image", THUMBNAIL), 3 * bench.rounds)
    unjudged = ""
    if busy:
        unjudged = "machine busy"
    elif video[BY_HAND].wall_secs < ENCODE_SECS / 2:
        unjudged = "encode too short"
    return [
        *compared("video", video, AT_MOST, REPEAT, unjudged),
        *compared("thumbnail", still, None, REPEAT),
    ]


def ways(bench: Bench, server: Server, clip: Path, url: str, kind: str, options: dict) -> dict:
    """The three ways to the same file."""
    output = bench.folder / f"made.{options['format']}"
    flags = flags_of(options)
    by_hand = [*NICE, *bench.command_line(kind, clip, output, flags)]
    once = [bench.reelway, kind, "-i", clip, "-o", output, "--force", *flags]

    def fresh(argv: list) -> Cost:
        output.unlink(missing_ok=True)
        return run(argv)

    return {
        BY_HAND: lambda: fresh(by_hand),
        f"reelway {kind}": lambda: fresh(once),
        "server, POST to webhook": lambda: server.job(url, kind, options),
    }


def long_clip(bench: Bench) -> Path:
    """The user's own input as it is; else a phone's clip, again and again."""
    if bench.given:
        return bench.given
    output = bench.folder / "once.mp4"
    flags = flags_of(VIDEO)
    once = run([*NICE, *bench.command_line("video", bench.phone, output, flags)])
    quiet_secs = once.cpu_secs / len(os.sched_getaffinity(0))
    times = max(1, math.ceil(ENCODE_SECS / quiet_secs))
    clip = bench.folder / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", str(times - 1), "-i", bench.phone,
         "-c", "copy", "-y", clip], check=True)
    return clip
