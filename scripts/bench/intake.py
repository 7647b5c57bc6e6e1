"""How many jobs a second are accepted, against an Express route that inserts a row with pg."""

import os
import re
import shutil
import statistics
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List

from measure import Row, machine_is_busy, say
from product import ROOT, Bench, Spoken, environment, fail

# Clients that each wait for their answer before they ask again.
CLIENTS = 64
SECS = int(os.environ.get("INTAKE_SECS", "8"))

AT_LEAST = 5.0
REPEAT = "REELWAY_TEST_FSYNC=on scripts/with-postgres python3 -B scripts/bench intake"

EXPRESS = "Express + pg"
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
        EXPRESS: lambda: express(bench, postgres.fresh()),
        "POST /jobs, SQLite": lambda: serve(bench, {}),
        "POST /jobs, Postgres": lambda: serve(bench, {"DATABASE_URL": postgres.fresh()}),
    }
    rates: Dict[str, List[float]] = {name: [] for name in ways}
    for turn in range(1, bench.rounds + 1):
        for name, way in ways.items():
            with way() as url:
                rates[name].append(accepted_per_sec(script, f"{url}/jobs"))
            say(f"  {turn}/{bench.rounds}  {name}: {rates[name][-1]:.0f} jobs/s")
    medians = {name: statistics.median(seen) for name, seen in rates.items()}
    return [row(name, rate, rate / medians[EXPRESS], busy) for name, rate in medians.items()]


def row(name: str, rate: float, ratio: float, busy: bool) -> Row:
    judged = name != EXPRESS
    target = ", ".join([f">= {AT_LEAST:.0f}", *(["machine busy"] if busy else [])])
    return Row(f"accepted: {name}", f"{rate:.0f} jobs/s", f"{ratio:.2f}", target if judged else "",
               ratio >= AT_LEAST if judged and not busy else None, REPEAT)


def accepted_per_sec(script: Path, url: str) -> float:
    """Answers a second, all of which must be 2xx."""
    def asked(secs: int) -> str:
        argv = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{secs}s", "-s", script, url]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            fail(f"not everything was accepted:\n{done.stdout}")
        return done.stdout

    asked(1)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", asked(SECS)).group(1))


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


@contextmanager
def express(bench: Bench, database: str) -> Iterator[str]:
    """The route of express.js."""
    folder = bench.folder / "express"
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(ROOT / "scripts" / "bench" / "express.js", folder)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(PACKAGES)
    env = environment(DATABASE_URL=database, NODE_ENV="production")
    with Spoken(["node", folder / "express.js"], env, folder / "log") as spoken:
        yield spoken.url


@contextmanager
def serve(bench: Bench, more: dict) -> Iterator[str]:
    """A server that takes jobs and does none."""
    data = bench.folder / "intake"
    shutil.rmtree(data, ignore_errors=True)
    env = environment(REELWAY_DATA_DIR=str(data), REELWAY_MAX_QUEUED="100000000", **more)
    argv = [bench.reelway, "serve", "--port", "0", "--no-workers"]
    with Spoken(argv, env, data.with_suffix(".log")) as spoken:
        yield spoken.url
    shutil.rmtree(data, ignore_errors=True)
