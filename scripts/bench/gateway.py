"""Inputs that are read while they come, against a download before the work."""

import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Dict, Iterator, List

from measure import Cost, Row, in_turn, say
from product import Bench, environment, fail, run

# The film, and the line to it: a gigabyte at 100 Mbit/s takes a minute and a half.
FILM_MB = int(os.environ.get("FILM_MB", "1024"))
RATE_MBIT = float(os.environ.get("RATE_MBIT", "100"))

# What is encoded while it comes; its download is made to take as long as its encode.
ENCODE_SECS = int(os.environ.get("ENCODE_SECS", "20"))

PICTURE_AT_MOST = 0.01
ENCODE_AT_MOST = 0.6
PIECE = 16 << 10
REPEAT = "python3 -B scripts/bench gateway"
THUMBNAIL = ["--start", "2", "--width", "640"]
SMALL = ["--width", "480"]


class Line:
    """A server of one file at so many bytes a second, whoever asks and however often."""

    def __init__(self, film: Path, bytes_a_second: float):
        self.film = film
        self.rate = bytes_a_second
        self.sent = 0
        self.free_at = time.monotonic()
        self.lock = threading.Lock()

    def wait_for(self, size: int) -> None:
        """Until so many bytes more have had their time on the line."""
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + size / self.rate
            self.sent += size
            wait = self.free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)


@contextmanager
def served(line: Line) -> Iterator[str]:
    """The URL of its film, for as long as it is wanted."""
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            size = line.film.stat().st_size
            first, last = 0, size - 1
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
            if asked:
                first = int(asked[1])
                last = min(last, int(asked[2] or last))
            self.send_response(206 if asked else 200)
            self.send_header("accept-ranges", "bytes")
            self.send_header("etag", '"film"')
            self.send_header("content-length", str(last - first + 1))
            if asked:
                self.send_header("content-range", f"bytes {first}-{last}/{size}")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                with line.film.open("rb") as film:
                    film.seek(first)
                    left = last - first + 1
                    while left:
                        piece = film.read(min(PIECE, left))
                        line.wait_for(len(piece))
                        self.wfile.write(piece)
                        left -= len(piece)
            except OSError:
                pass  # whoever has enough hangs up

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def server_bind(self):
            # What the system takes ahead of the reader has not come by the line yet.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
            super().server_bind()

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/film.mp4"
    finally:
        server.shutdown()
        server.server_close()


def rows(bench: Bench) -> List[Row]:
    """A thumbnail with the index in front and at the end, and an encode of a slow download."""
    source = bench.given or bench.phone
    found = []
    for place, flags in (("in front", ["-movflags", "+faststart"]), ("at the end", [])):
        film = repeated(bench, source, flags, FILM_MB << 20, f"film {place}.mp4")
        say(f"a thumbnail of {film.stat().st_size / 1e6:.0f} MB, its index {place}")
        found += thumbnail(bench, film, f"thumbnail, index {place}")
        film.unlink()
    return found + encode(bench, source)


def thumbnail(bench: Bench, film: Path, name: str) -> List[Row]:
    line = Line(film, RATE_MBIT * 1e6 / 8)
    sent: Dict[str, List[int]] = {}
    with served(line) as url:
        ways = {
            "download, then ffmpeg": counted(line, sent, "by hand", lambda: by_hand(
                bench, url, film, "image", "webp", THUMBNAIL)),
            "reelway image": counted(line, sent, "reelway", lambda: once(
                bench, url, "image", "webp", THUMBNAIL)),
        }
        costs = in_turn(ways, bench.rounds)
    first, second = costs.values()
    bytes_ratio = max(sent["reelway"]) / min(sent["by hand"])
    return [
        ratio(f"{name}: time", second.wall_secs, first.wall_secs, "s", PICTURE_AT_MOST),
        Row(f"{name}: bytes", f"{max(sent['reelway']) / 1e6:.1f} MB", f"{bytes_ratio:.4f}",
            f"<= {PICTURE_AT_MOST}", bytes_ratio <= PICTURE_AT_MOST, REPEAT),
    ]


def encode(bench: Bench, source: Path) -> List[Row]:
    short = repeated(bench, source, ["-movflags", "+faststart"], 0, "once.mp4")
    alone = run(by_hand_argv(bench, short, "video", "mp4", SMALL)).wall_secs
    times = max(1, round(ENCODE_SECS / alone))
    film = repeated(bench, source, ["-movflags", "+faststart"], times * short.stat().st_size,
                    "encode.mp4")
    secs = run(by_hand_argv(bench, film, "video", "mp4", SMALL)).wall_secs
    line = Line(film, film.stat().st_size / secs)
    say(f"480 pixels of a file that takes {secs:.0f} s to encode and as long to come")
    with served(line) as url:
        costs = in_turn({
            "download, then encode": lambda: by_hand(bench, url, film, "video", "mp4", SMALL),
            "reelway video": lambda: once(bench, url, "video", "mp4", SMALL),
        }, bench.rounds)
    first, second = costs.values()
    return [ratio("480p of a slow download: time", second.wall_secs, first.wall_secs, "s",
                  ENCODE_AT_MOST)]


def ratio(name: str, value: float, base: float, unit: str, at_most: float) -> Row:
    found = value / base
    return Row(name, f"{value:.2f} {unit} (before {base:.2f})", f"{found:.4f}", f"<= {at_most}",
               found <= at_most, REPEAT)


def counted(line: Line, sent: Dict[str, List[int]], name: str,
            way: Callable[[], Cost]) -> Callable[[], Cost]:
    def run_counted() -> Cost:
        before = line.sent
        cost = way()
        sent.setdefault(name, []).append(line.sent - before)
        return cost
    return run_counted


def by_hand_argv(bench: Bench, film: Path, kind: str, ending: str, flags: List[str]) -> list:
    output = bench.folder / f"by-hand.{ending}"
    return bench.command_line(kind, film, output, flags)


def by_hand(bench: Bench, url: str, film: Path, kind: str, ending: str, flags: List[str]) -> Cost:
    """All of it, then the same ffmpeg."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        here = Path(folder) / "film.mp4"
        argv = [str(here) if word == f"file:{film}" else word
                for word in by_hand_argv(bench, film, kind, ending, flags)]
        start = time.perf_counter()
        with urllib.request.urlopen(url) as answer, here.open("wb") as file:
            while piece := answer.read(1 << 20):
                file.write(piece)
        download = time.perf_counter() - start
        cost = run(argv)
        return Cost(download + cost.wall_secs, cost.cpu_secs)


def once(bench: Bench, url: str, kind: str, ending: str, flags: List[str]) -> Cost:
    """The one-shot command on the URL."""
    output = bench.folder / f"reelway.{ending}"
    output.unlink(missing_ok=True)
    start = time.perf_counter()
    done = subprocess.run([bench.reelway, kind, "-i", url, "-o", output, "--force", *flags],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env=environment(REELWAY_ALLOW_NETWORKS="127.0.0.0/8"))
    if done.returncode:
        fail(f"reelway {kind} failed: {done.stderr[-2000:]}")
    return Cost(time.perf_counter() - start, 0.0)


def repeated(bench: Bench, source: Path, flags: List[str], size: int, name: str) -> Path:
    """The clip again and again, until it has so many bytes."""
    times = max(1, -(-size // source.stat().st_size))
    film = bench.folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", str(times - 1),
                    "-i", source, "-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", *flags, "-y",
                    film], check=True)
    return film
