"""How many webhooks a second arrive, with one receiver that never answers and without it."""

import json
import os
import shutil
import statistics
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List

from measure import Row, machine_is_busy, say
from product import PATIENCE_SECS, Bench, Spoken, environment, fail

# A hundred receivers, of which one may be a black hole.
RECEIVERS = 100
JOBS_EACH = int(os.environ.get("WEBHOOKS_JOBS_EACH", "20"))
# One for each job and one for all of them together.
EVENTS_EACH = JOBS_EACH + 1

AT_LEAST = 0.9
REPEAT = "python3 -B scripts/bench webhooks"

WITHOUT = "100 receivers that answer"
WITH = "one of 100 never answers"


def rows(bench: Bench) -> List[Row]:
    """Both in turn, each with a server of its own."""
    busy = machine_is_busy()
    rates: Dict[str, List[float]] = {WITHOUT: [], WITH: []}
    for turn in range(1, bench.rounds + 1):
        for name, seen in rates.items():
            seen.append(delivered_per_sec(bench, name == WITH))
            say(f"  {turn}/{bench.rounds}  {name}: {seen[-1]:.0f} webhooks/s")
    without, among = (statistics.median(rates[name]) for name in (WITHOUT, WITH))
    target = ", ".join([f">= {AT_LEAST}", *(["machine busy"] if busy else [])])
    return [
        Row(f"webhooks: {WITHOUT}", f"{without:.0f} a second", "1.00", "", None, REPEAT),
        Row(f"webhooks: {WITH}", f"{among:.0f} a second", f"{among / without:.2f}", target,
            None if busy else among / without >= AT_LEAST, REPEAT),
    ]


def delivered_per_sec(bench: Bench, has_hole: bool) -> float:
    """Those to receivers that answer, from the moment in which all are due at once."""
    data = bench.folder / "webhooks"
    shutil.rmtree(data, ignore_errors=True)
    env = environment(REELWAY_DATA_DIR=str(data), REELWAY_ALLOW_NETWORKS="127.0.0.0/8",
                      REELWAY_MAX_QUEUED="1000000")
    receivers = [sys.executable, "-B", Path(__file__).with_name("receivers.py")]
    serve = [bench.reelway, "serve", "--port", "0", "--no-workers"]
    log = data.with_suffix(".log")
    with Spoken(receivers, environment(), data.with_suffix(".receivers.log")) as receiver, \
            Spoken(serve, env, log) as server:
        names = [str(number) for number in range(RECEIVERS)]
        if has_hole:
            names[RECEIVERS // 2] = "hole"
        with ThreadPoolExecutor(16) as pool:
            asked = [pool.submit(cancelled_jobs, server.url, f"{receiver.url}/r/{name}")
                     for name in names]
            for done in asked:
                done.result()
        # Each receiver has refused its first: what else there is for it is held.
        until(lambda: pending(server.url) == 0)
        call(f"{receiver.url}/open", {})
        good = EVENTS_EACH * (RECEIVERS - has_hole)
        start = time.perf_counter()
        call(f"{server.url}/webhooks/deliveries/replay", {"since": 0})
        until(lambda: told(receiver.url)["count"] >= good)
        secs = told(receiver.url)["last"] - start
    shutil.rmtree(data, ignore_errors=True)
    return good / secs


def cancelled_jobs(server: str, receiver: str) -> None:
    """Jobs that end at once, so that there is something to tell."""
    body = {"url": "https://cdn.example.com/a.mp4", "webhook_url": receiver,
            "tasks": [{"kind": "probe"}] * JOBS_EACH}
    accepted = call(f"{server}/process", body)
    for task in accepted["tasks"]:
        call(f"{server}/jobs/{task['task_id']}/cancel", {})


def pending(server: str) -> int:
    """How many webhooks are still to be sent."""
    with urllib.request.urlopen(f"{server}/metrics", timeout=PATIENCE_SECS) as answer:
        lines = answer.read().decode().splitlines()
    name = "reelway_deliveries_pending "
    return int(float(next(line for line in lines if line.startswith(name)).removeprefix(name)))


def told(receiver: str) -> dict:
    """What the receivers have seen."""
    with urllib.request.urlopen(f"{receiver}/count", timeout=PATIENCE_SECS) as answer:
        return json.load(answer)


def call(url: str, body: dict) -> dict:
    """A POST and its answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(),
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
        return json.loads(answer.read() or b"{}")


def until(is_so) -> None:
    """Waits for what the other processes do."""
    end = time.monotonic() + PATIENCE_SECS
    while not is_so():
        if time.monotonic() > end:
            fail("the webhooks did not arrive")
        time.sleep(0.05)
