"""A photograph made small by the command that Reelway runs, and a hundred of them by a server."""

import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import List

from measure import Cost, Row, compared, in_turn, machine_is_busy, say
from product import PATIENCE_SECS, Bench, Server, environment, fail, run

# 12 megapixels, from Debian's forensics-samples-files (CC BY-SA 4.0).
PHOTO = Path("/usr/share/forensics-samples/original-files/pic2/IMG_20200608_111614.jpg")

# What a picture may take of the time that ffmpeg takes for the same.
AT_MOST = {"webp": 0.80, "avif": 0.40}

# How many small pictures are made of small ones, and how many times as many a second at least.
MANY = 100
AT_LEAST = 1.5

REPEAT = "python3 -B scripts/bench stills"


def rows(bench: Bench) -> List[Row]:
    """One large picture by both programs, then many small ones by a loop and by a server."""
    if not PHOTO.is_file():
        fail(f"there is no file {PHOTO}: install forensics-samples-files")
    busy = machine_is_busy()
    unjudged = "machine busy" if busy else ""
    made: List[Row] = []
    for name, at_most in AT_MOST.items():
        say(f"12 megapixels to {name}")
        output = bench.folder / f"made.{name}"
        by_vips = bench.command_line("image", PHOTO, output, ["--width", "640"])
        by_ffmpeg = by_ffmpeg_alone(bench, output)
        if not by_vips[0].endswith("vipsthumbnail"):
            fail("vipsthumbnail is not installed: scripts/setup vips")
        by_vips = ["env", f"VIPSHOME={home(bench, name)}", "VIPS_BLOCK_UNTRUSTED=1", *by_vips]
        ways = {
            "ffmpeg": lambda argv=by_ffmpeg, to=output: fresh(argv, to),
            "vipsthumbnail": lambda argv=by_vips, to=output: fresh(argv, to),
        }
        costs = in_turn(ways, 3 * bench.rounds)
        made += compared(f"12 MP to {name}", costs, at_most, REPEAT, unjudged)
    return made + many(bench, unjudged)


def home(bench: Bench, name: str) -> Path:
    """Where Reelway lets libvips look for its modules: AVIF is one, and the others are not needed."""
    modules = sorted(Path("/usr").glob("lib*/**/vips-heif.so"))
    if name != "avif" or not modules:
        return Path("/dev/null")
    place = bench.folder / "vips" / Path(*modules[0].parts[-3:])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(modules[0])
    return bench.folder / "vips"


def fresh(argv: list, output: Path) -> Cost:
    """One process, and a file that was not there before it."""
    output.unlink(missing_ok=True)
    cost = run(argv)
    if not output.is_file():
        fail(f"{argv[0]} made nothing")
    return cost


def by_ffmpeg_alone(bench: Bench, output: Path) -> List[str]:
    """What Reelway runs where there is no libvips: told by a PATH that has no vipsthumbnail."""
    programs = bench.folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("ffmpeg", "ffprobe"):
        found = shutil.which(name) or fail(f"there is no {name}")
        link = programs / name
        link.unlink(missing_ok=True)
        link.symlink_to(found)
    printed = subprocess.run(
        [bench.reelway, "image", "-i", PHOTO, "-o", output, "--width", "640", "--print-command"],
        stdout=subprocess.PIPE, text=True, check=True, env=environment(PATH=str(programs)))
    return ["sh", "-c", "exec " + printed.stdout.splitlines()[0]]


def many(bench: Bench, unjudged: str) -> List[Row]:
    """A loop of ffmpeg against one server; a job counts when its webhook is there."""
    small = bench.folder / "small.jpg"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", PHOTO, "-vf", "scale=1024:-2", "-q:v", "3",
                    small], check=True)
    output = bench.folder / "many.webp"
    by_hand = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(small), "-vf", "scale=320:-2",
               "-c:v", "libwebp", "-quality", "78", str(output)]

    def loop() -> Cost:
        costs = [run(by_hand) for _ in range(MANY)]
        return Cost(sum(cost.wall_secs for cost in costs), sum(cost.cpu_secs for cost in costs))

    with Server(bench, "many") as server:
        url = server.share(small)
        say(f"{MANY} pictures")
        costs = in_turn({"a loop of ffmpeg": loop, "server, POST to webhook":
                         lambda: all_at_once(server, url)}, bench.rounds)
    by_loop, by_server = costs.values()
    faster = by_loop.wall_secs / by_server.wall_secs
    return [
        Row(f"{MANY} pictures: a loop of ffmpeg", f"{MANY / by_loop.wall_secs:.1f} jobs/s", "1",
            repeat=REPEAT),
        Row(f"{MANY} pictures: server, POST to webhook", f"{MANY / by_server.wall_secs:.1f} jobs/s",
            f"{faster:.2f} (processors {by_server.cpu_secs / by_loop.cpu_secs:.3f})",
            ", ".join(filter(None, [f">= {AT_LEAST}", unjudged])),
            None if unjudged else faster >= AT_LEAST, REPEAT),
    ]


def all_at_once(server: Server, url: str) -> Cost:
    """All jobs in one request each, until the last webhook has come."""
    before, start = server.cpu_secs(), time.perf_counter()
    for number in range(MANY):
        # Each is an input of its own: none is helped by what is known of the one before.
        body = {"url": f"{url}?{time.time_ns()}-{number}", "kind": "image",
                "options": {"format": "webp", "width": 320}, "webhook_url": server.hook.url}
        request = urllib.request.Request(f"{server.spoken.url}/process", json.dumps(body).encode(),
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            answer.read()
    for _ in range(MANY):
        last, event = server.events.get(timeout=PATIENCE_SECS)
        if event.get("status") != "succeeded":
            fail(f"a job failed: {event.get('error')}")
    return Cost(last - start, server.cpu_secs() - before)
