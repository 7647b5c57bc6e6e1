"""How many jobs a second are accepted, against an Express route that inserts a row with pg.

Beside the clock stands the time of processors for each job: of the server, of its database and of
the client.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List

from measure import Row, machine_is_busy, say
from product import ROOT, Bench, Spoken, cpu_secs, environment, fail

# Clients that each wait for their answer before they ask again.
CLIENTS = 64
SECS = int(os.environ.get("INTAKE_SECS", "8"))

AT_LEAST = 5.0
REPEAT = "REELWAY_TEST_FSYNC=on scripts/with-postgres python3 -B scripts/bench intake"

EXPRESS = "Express + pg"
# What the server and the client cost where nothing is read, checked or written.
EMPTY = "GET /healthz"
PACKAGES = ROOT / "target" / "clients" / "express" / "node_modules"

BODY = '{"input": "https://cdn.example.com/a.mp4", "kind": "video", "options": {"width": 640}}'
SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{BODY}]]
"""


def rows(bench: Bench) -> List[Row]:
    """Both databases against Express, in turn, each with a database of its own."""
    server = os.environ.get("REELWAY_TEST_POSTGRES")
    if not server or not shutil.which("wrk") or not PACKAGES.is_dir():
        fail("this group needs PostgreSQL, wrk and Express: make bench installs and starts them")
    script = bench.folder / "post.lua"
    script.write_text(SCRIPT)
    busy = machine_is_busy()
    postgres = Databases(server)
    ways = {
        EXPRESS: ("jobs", lambda: express(bench, postgres.fresh())),
        "POST /jobs, SQLite": ("jobs", lambda: serve(bench, {})),
        "POST /jobs, Postgres": ("jobs", lambda: serve(bench, {"DATABASE_URL": postgres.fresh()})),
        EMPTY: ("healthz", lambda: serve(bench, {})),
    }
    seen: Dict[str, List[Rate]] = {name: [] for name in ways}
    for turn in range(1, bench.rounds + 1):
        for name, (route, way) in ways.items():
            with way() as spoken:
                posted = ["-s", str(script)] if route == "jobs" else []
                seen[name].append(measured(spoken, postgres, [*posted, f"{spoken.url}/{route}"]))
            say(f"  {turn}/{bench.rounds}  {name}: {seen[name][-1]}")
    medians = {name: Rate.median(rates) for name, rates in seen.items()}
    return [row(name, rate, rate.per_sec / medians[EXPRESS].per_sec, busy)
            for name, rate in medians.items()]


@dataclass(frozen=True)
class Rate:
    """Answers a second, and the processors' time for each, in microseconds."""

    per_sec: float
    cpu_micros: float

    def __str__(self) -> str:
        return f"{self.per_sec:.0f}/s, {self.cpu_micros:.0f} µs of processors each"

    @staticmethod
    def median(rates: "List[Rate]") -> "Rate":
        """The medians of both."""
        return Rate(statistics.median(rate.per_sec for rate in rates),
                    statistics.median(rate.cpu_micros for rate in rates))


def row(name: str, rate: Rate, ratio: float, busy: bool) -> Row:
    judged = name not in (EXPRESS, EMPTY)
    target = ", ".join([f">= {AT_LEAST:.0f}", *(["machine busy"] if busy else [])])
    return Row(f"accepted: {name}", str(rate), f"{ratio:.2f}", target if judged else "",
               ratio >= AT_LEAST if judged and not busy else None, REPEAT)


def measured(spoken: Spoken, postgres: "Databases", what: List[str]) -> Rate:
    """How fast it answers; all answers must be 2xx."""
    def asked(secs: int) -> str:
        argv = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{secs}s", *what]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            fail(f"not everything was accepted:\n{done.stdout}")
        return done.stdout

    def used() -> float:
        client = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (client.ru_utime + client.ru_stime + cpu_secs(spoken.process.pid)
                + postgres.cpu_secs())

    asked(1)
    before = used()
    said = asked(SECS)
    cost = used() - before
    answers = int(re.search(r"(\d+) requests in", said).group(1))
    per_sec = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
    return Rate(per_sec, cost / answers * 1e6)


class Databases:
    """New databases of one PostgreSQL."""

    def __init__(self, server: str):
        self.server = server
        self.made = 0

    def fresh(self) -> str:
        """The URL of an empty one."""
        self.made += 1
        name = f"intake_{os.getpid()}_{self.made}"
        programs = os.environ.get("REELWAY_TEST_POSTGRES_BIN", "")
        psql = os.path.join(programs, "psql")
        subprocess.run([psql, self.server, "-qc", f"create database {name}"], check=True)
        return f"{self.server.rpartition('/')[0]}/{name}"

    def cpu_secs(self) -> float:
        """What the server and its connections have cost so far; nothing for another's server."""
        folder = os.environ.get("REELWAY_TEST_POSTGRES_DATA")
        if not folder:
            return 0.0
        own = int((Path(folder) / "postmaster.pid").read_text().split()[0])
        listed = subprocess.run(["pgrep", "-P", str(own)], capture_output=True, text=True)
        total = cpu_secs(own)
        for pid in listed.stdout.split():
            with suppress(FileNotFoundError, ProcessLookupError):
                total += cpu_secs(int(pid))
        return total


@contextmanager
def express(bench: Bench, database: str) -> Iterator[Spoken]:
    """The route of express.js."""
    folder = bench.folder / "express"
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(ROOT / "scripts" / "bench" / "express.js", folder)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(PACKAGES)
    env = environment(DATABASE_URL=database, NODE_ENV="production")
    with Spoken(["node", folder / "express.js"], env, folder / "log") as spoken:
        yield spoken


@contextmanager
def serve(bench: Bench, more: dict) -> Iterator[Spoken]:
    """A server that takes jobs and does none."""
    data = bench.folder / "intake"
    shutil.rmtree(data, ignore_errors=True)
    env = environment(REELWAY_DATA_DIR=str(data), REELWAY_MAX_QUEUED="100000000", **more)
    argv = [bench.reelway, "serve", "--port", "0", "--no-workers"]
    with Spoken(argv, env, data.with_suffix(".log")) as spoken:
        yield spoken
    shutil.rmtree(data, ignore_errors=True)
