"""The product as a user has it: the release build, a server, a source, a receiver of webhooks."""

import json
import os
import queue
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import List, NoReturn, Optional, Tuple

from measure import Cost, say

ROOT = Path(__file__).resolve().parents[2]
PHONE = Path("/usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4")

# How long anything may take before the bench gives up.
PATIENCE_SECS = 600

TICKS = os.sysconf("SC_CLK_TCK")


def fail(text: str) -> NoReturn:
    """Ends the bench with a reason."""
    sys.exit(f"bench: {text}")


def build() -> Path:
    """The release build."""
    say("building (release)")
    if subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT).returncode:
        fail("the build failed")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return (ROOT / target / "release" / "reelway").resolve()


def environment(**more: str) -> dict:
    """No settings but those said here: the user's own must not change what is measured."""
    own = ("REELWAY_", "ITTYBIT_", "AWS_", "RAILWAY_")
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(own) and name not in ("PORT", "DATABASE_URL")}
    return {**kept, **more}


def cpu_secs(pid: int) -> float:
    """What a process and its ended children have cost so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / TICKS


class Bench:
    """What the groups share: the program, a folder, an input."""

    def __init__(self, reelway: Path, given: Optional[str], rounds: int):
        self.reelway = reelway
        self.rounds = rounds
        self.given = Path(given).resolve() if given else None
        self.phone = self.given or PHONE
        if not self.phone.is_file():
            fail(f"there is no file {self.phone}; give a video: INPUT=video.mp4 make bench")
        self.folder = ROOT / "target" / "bench"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def command_line(self, kind: str, source: Path, output: Path, options: List[str]) -> List[str]:
        """What `reelway KIND` runs, as its own --print-command says, which it does for an output that
        is not there."""
        output.unlink(missing_ok=True)
        printed = subprocess.run(
            [self.reelway, kind, "-i", source, "-o", output, *options, "--print-command"],
            stdout=subprocess.PIPE, text=True, check=True, env=environment())
        lines = [line for line in printed.stdout.splitlines() if not line.startswith("#")]
        if len(lines) != 1:
            fail("this job is more than one command")
        return shlex.split(lines[0])


def flags_of(options: dict) -> List[str]:
    """A job's options as a command takes them; its format is the end of the output's name."""
    return [word for name, value in options.items() if name != "format"
            for word in (f"--{name}", str(value))]


def run(argv: list) -> Cost:
    """One process from its start to its end, with what it and its children cost."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env=environment())
    wall_secs = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        fail(f"{argv[0]} failed: {done.stderr[-2000:]}")
    cpu_secs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall_secs, cpu_secs)


class Spoken:
    """A process that says on its first line where it listens; ended at the end."""

    def __init__(self, argv: list, env: dict, log: Path):
        self.start = time.perf_counter()
        with log.open("w") as said:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=said,
                                            stdout=subprocess.PIPE, text=True, env=env)
        line = self.process.stdout.readline()
        self.start_secs = time.perf_counter() - self.start
        if not line:
            fail(f"{argv[1]} did not start: {log.read_text()[-2000:]}")
        said = json.loads(line)
        self.url = said.get("listening") or said["url"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Two signals, of two kinds: the second asks a server not to wait for the work under way.
        for number in (signal.SIGTERM, signal.SIGINT):
            self.process.send_signal(number)
        self.process.wait(PATIENCE_SECS)


class Server:
    """A running `reelway serve` with a receiver beside it."""

    def __init__(self, bench: Bench, name: str, **settings: str):
        self.bench = bench
        self.settings = settings
        self.data = bench.folder / name
        self.events: "queue.Queue[tuple[float, dict]]" = queue.Queue()
        self.stack = ExitStack()

    def __enter__(self):
        env = environment(REELWAY_DATA_DIR=str(self.data),
                          REELWAY_ALLOW_NETWORKS="127.0.0.0/8,::1/128", **self.settings)
        self.spoken = self.stack.enter_context(Spoken(
            [self.bench.reelway, "serve", "--port", "0"], env, self.data.with_suffix(".log")))
        self.hook = self.stack.enter_context(receiver(self.events))
        return self

    def __exit__(self, *_):
        self.stack.close()

    @property
    def pid(self) -> int:
        return self.spoken.process.pid

    def share(self, source: Path) -> str:
        """A URL of a local file, until the server ends."""
        argv = [self.bench.reelway, "share", source]
        shared = Spoken(argv, environment(), self.data.with_suffix(".share.log"))
        return self.stack.enter_context(shared).url

    def job(self, url: str, kind: str, options: dict) -> Cost:
        """From POST /process to the webhook."""
        return self.ends({"url": url, "kind": kind, "options": options}, 1)

    def batch(self, url: str, tasks: List[Tuple[str, dict]]) -> Cost:
        """From POST /process to the last webhook of its tasks."""
        tasks = [{"kind": kind, "options": options} for kind, options in tasks]
        return self.ends({"url": url, "tasks": tasks}, len(tasks) + 1)

    def ends(self, body: dict, count: int) -> Cost:
        """From POST /process to the last of so many webhooks."""
        before, start = self.cpu_secs(), time.perf_counter()
        body = {**body, "webhook_url": self.hook.url}
        request = urllib.request.Request(
            f"{self.spoken.url}/process", json.dumps(body).encode(),
            {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            answer.read()
        for _ in range(count):
            received, event = self.events.get(timeout=PATIENCE_SECS)
            if event.get("status") != "succeeded":
                fail(f"the job failed: {event.get('error')}")
        return Cost(received - start, self.cpu_secs() - before)

    def cpu_secs(self) -> float:
        """What the server and its ended children have cost so far."""
        return cpu_secs(self.pid)

    def memory_mb(self) -> dict:
        """Resident and proportional memory in MB (10^6 bytes)."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
        return {name: int(sizes[name]) * 1024 / 1e6 for name in ("Rss", "Pss")}


class receiver:  # noqa: N801, it is used like a function
    """Takes webhooks on loopback and says when each came."""

    def __init__(self, events: "queue.Queue[tuple[float, dict]]"):
        class Take(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802, the name is the library's
                body = self.rfile.read(int(self.headers["content-length"]))
                events.put((time.perf_counter(), json.loads(body)))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
