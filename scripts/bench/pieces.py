"""One long video, made by one worker and by two, each of one slot and one thread."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from intake import Databases
from measure import Cost, Row, compared, in_turn, machine_is_busy, say
from product import Bench, Server, cpu_secs, environment, fail

AT_MOST = 0.55
REPEAT = "scripts/with-postgres python3 -B scripts/bench pieces"

# How long the film is. It is cut as one of ten minutes would be, in proportion, and so into
# pieces that are dearer than any that a server cuts.
FILM_SECS = int(os.environ.get("FILM_SECS", "180"))
PIECES = 600 / 30

VIDEO = {"format": "mp4", "width": 1920, "copy": "never"}
ALONE = {"REELWAY_SLOTS": "1", "REELWAY_THREADS": "1",
         "REELWAY_PIECE_SECS": str(FILM_SECS / PIECES)}


def rows(bench: Bench) -> List[Row]:
    """From the request to the webhook; the source is on loopback."""
    server_url = os.environ.get("REELWAY_TEST_POSTGRES")
    if not server_url:
        fail("this group needs PostgreSQL: make bench installs and starts it")
    shared = {"DATABASE_URL": Databases(server_url).fresh(), **ALONE,
              "REELWAY_STORAGE": f"file://{bench.folder}/pieces-files"}
    with Server(bench, "pieces", **shared) as server:
        busy = machine_is_busy()
        clip = film(bench)
        url = server.share(clip)
        say(f"{FILM_SECS} s of 1080p")

        def by_two() -> Cost:
            with worker(bench, shared) as helper:
                before = cpu_secs(helper)
                cost = server.job(url, "video", VIDEO)
                return Cost(cost.wall_secs, cost.cpu_secs + cpu_secs(helper) - before)

        took = in_turn({
            "one worker of one thread": lambda: server.job(url, "video", VIDEO),
            "two of them": by_two,
        }, bench.rounds)
    return compared("one long video", took, AT_MOST, REPEAT, "machine busy" if busy else "")


def film(bench: Bench) -> Path:
    """A phone's clip, again and again, with a keyframe every two seconds as cameras have them; or
    the user's own."""
    if bench.given:
        return bench.given
    clip = bench.folder / "long.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "1000", "-i", bench.phone,
         "-t", str(FILM_SECS), "-vf", "scale=1920:1080,format=yuv420p", "-c:v", "libx264",
         "-preset", "ultrafast", "-crf", "20", "-g", "60", "-c:a", "aac", "-y", clip], check=True)
    return clip


@contextmanager
def worker(bench: Bench, shared: dict) -> Iterator[int]:
    """One more worker; its process, until it has said goodbye."""
    log = bench.folder / "helper.log"
    env = environment(REELWAY_DATA_DIR=str(bench.folder / "helper"),
                      REELWAY_ALLOW_NETWORKS="127.0.0.0/8,::1/128",
                      REELWAY_PUBLIC_URL="http://127.0.0.1:9", **shared)
    with log.open("w") as said:
        process = subprocess.Popen([bench.reelway, "worker"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=said, env=env)
    try:
        until = time.monotonic() + 60
        while "ready" not in log.read_text() and "work" not in log.read_text():
            if process.poll() is not None or time.monotonic() > until:
                fail(f"a worker did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        # It says that it is there when it starts; whoever holds the video asks who is.
        time.sleep(1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
