"""A video that is already as asked: copied, against encoded anew."""

import subprocess
from pathlib import Path
from typing import List

from measure import Row, compared, in_turn, say
from product import Bench, Server

AT_MOST = 0.05
REPEAT = "python3 -B scripts/bench remux"

# The index is put in front: what a web page needs of a film that was only uploaded.
OPTIONS = {"format": "mp4", "bitrate": 60_000_000}


def rows(bench: Bench) -> List[Row]:
    """The whole job, from the request to the webhook, both ways."""
    clip = film(bench)
    say(f"a copy of {clip}")
    with Server(bench, "remux") as server:
        url = server.share(clip)
        ways = {
            "encoded": lambda: server.job(url, "video", {**OPTIONS, "copy": "never"}),
            "copied": lambda: server.job(url, "video", OPTIONS),
        }
        took = in_turn(ways, bench.rounds)
    return compared("copy", took, AT_MOST, REPEAT)


def film(bench: Bench) -> Path:
    """A minute of usual pictures with its index at the end; or the user's own."""
    if bench.given:
        return bench.given
    clip = bench.folder / "film.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "100", "-i", bench.phone,
         "-t", "20", "-vf", "scale=1280:720,format=yuv420p", "-c:v", "libx264", "-preset", "veryfast",
         "-c:a", "aac", "-b:a", "128k", "-y", clip], check=True)
    return clip
