"""Equal jobs at once on the same processors: as Reelway shares them, and as ffmpeg takes them by itself."""

import os
import resource
import threading
import time
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Callable, Dict, List

from measure import Cost, Row, compared, in_turn, machine_is_busy, say
from overhead import NICE
from product import Bench, Server, environment, fail, flags_of, run

REPEAT = "python3 -B scripts/bench admission"

# How many jobs at once, and how many slots the server has for them.
JOBS = (2, 4)

OPTIONS = {"format": "mp4", "width": 1920, "quality": "medium", "copy": "never"}

# How long the clip is: an encoder has all the pictures that it keeps after two seconds.
SECS = 6

# How often memory is looked at.
LOOK_SECS = 0.05


def rows(bench: Bench) -> List[Row]:
    """A row a way: all at once by hand, one after the other by hand, a server with a slot for each."""
    busy = machine_is_busy()
    clip = short_clip(bench)
    found = []
    for jobs in JOBS:
        settings = {"REELWAY_SLOTS": str(jobs), "REELWAY_MAX_TOGETHER": "1"}
        with Server(bench, f"admission-{jobs}", **settings) as server:
            url = server.share(clip)
            by_hand = [command(bench, clip, f"{jobs}-{number}") for number in range(jobs)]
            say(f"{jobs} jobs of {clip}")
            found += compared(f"{jobs} jobs", in_turn({
                "ffmpegs by hand, at once": lambda: watched(os.getpid(), lambda: at_once(by_hand)),
                "by hand, one after the other":
                    lambda: watched(os.getpid(), lambda: in_a_row(by_hand)),
                "server with a slot for each":
                    lambda: watched(server.pid,
                                    lambda: server.batch(url, [("video", OPTIONS)] * jobs)),
            }, bench.rounds), None, REPEAT, "machine busy" if busy else "")
    return found


def short_clip(bench: Bench) -> Path:
    """The input, repeated or cut to a few seconds."""
    clip = bench.folder / "admission.mp4"
    run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-stream_loop", "99", "-i", bench.phone,
         "-t", str(SECS), "-c", "copy", "-movflags", "+faststart", clip])
    return clip


def command(bench: Bench, clip: Path, name: str) -> List[str]:
    """What makes one of the outputs by hand, with the threads that ffmpeg chooses."""
    output = bench.folder / f"admission-{name}.mp4"
    flags = flags_of(OPTIONS)
    return [*NICE, *bench.command_line("video", clip, output, flags)]


def in_a_row(commands: List[List[str]]) -> Cost:
    costs = [run(argv) for argv in commands]
    return Cost(sum(cost.wall_secs for cost in costs), sum(cost.cpu_secs for cost in costs))


def at_once(commands: List[List[str]]) -> Cost:
    """From the first start to the last end."""
    def all_of_them() -> None:
        started = [Popen(argv, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment())
                   for argv in commands]
        if any(process.wait() for process in started):
            fail("one of the commands failed")

    return timed(all_of_them)


def timed(work: Callable[[], None]) -> Cost:
    """What the children of this process cost meanwhile."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    wall_secs, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall_secs, spent)


def watched(root: int, work: Callable[[], Cost]) -> Cost:
    """The same with the most memory that all ffmpegs below a process had together."""
    ended, most = threading.Event(), [0.0]

    def look() -> None:
        while not ended.wait(LOOK_SECS):
            most[0] = max(most[0], memory_below(root))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        cost = work()
    finally:
        ended.set()
        looking.join()
    return Cost(cost.wall_secs, cost.cpu_secs, most[0])


def memory_below(root: int) -> float:
    """Resident memory in MB (10^6 bytes) of the ffmpegs that descend from a process."""
    parents: Dict[int, int] = {}
    ffmpegs: Dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # It has ended.
        fields = rest.split()
        parents[int(entry.name)] = int(fields[1])
        if name == "ffmpeg":
            ffmpegs[int(entry.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def descends(pid: int) -> bool:
        while pid > 1:
            if pid == root:
                return True
            pid = parents.get(pid, 0)
        return False

    return sum(size for pid, size in ffmpegs.items() if descends(pid))
