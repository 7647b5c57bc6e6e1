"""One encode: what it cost in bits and in time, and how like its source it is."""

import re
import resource
import subprocess
from dataclasses import dataclass
from typing import List

from clips import FOLDER, Clip, reference

THREADS = "2"


@dataclass(frozen=True)
class Encoder:
    """An encoder, and the numbers at which it is measured by how hard it tries."""

    codec: str
    name: str
    crfs: dict

    def argv(self, preset: str, crf: int) -> List[str]:
        """What `crates/ffmpeg/src/codec.rs` writes."""
        return {
            "libx264": ["-preset", preset, "-profile:v", "high", "-crf", str(crf)],
            "libx265": ["-preset", preset, "-x265-params", f"log-level=error:pools={THREADS}",
                        "-crf", str(crf)],
            "libsvtav1": ["-preset", preset, "-crf", str(crf), "-svtav1-params", f"lp={THREADS}"],
            "libvpx-vp9": ["-deadline", "good", "-cpu-used", preset, "-row-mt", "1",
                           "-crf", str(crf), "-b:v", "0"],
            "libaom-av1": ["-cpu-used", preset, "-row-mt", "1", "-crf", str(crf), "-b:v", "0"],
        }[self.name]


# Presets are those of `src/job/plan/quality.rs`; the numbers lie around what each is used for.
ENCODERS = [
    Encoder("h264", "libx264", {"veryfast": [20, 23, 26, 29, 32, 35, 38],
                                "faster": [14, 17, 20, 23]}),
    Encoder("h265", "libx265", {"veryfast": [22, 25, 28, 31, 34, 37],
                                "faster": [13, 16, 19, 22, 25]}),
    Encoder("av1", "libsvtav1", {"10": [38, 44, 50, 56, 62], "9": [28, 34, 40, 46],
                                 "8": [20, 26, 32, 38], "7": [10, 16, 22, 28]}),
    Encoder("vp9", "libvpx-vp9", {"5": [36, 42, 48, 54, 60], "4": [28, 34, 40, 46],
                                  "3": [20, 26, 32, 38], "2": [8, 14, 20, 26]}),
    Encoder("av1", "libaom-av1", {"8": [38, 44, 50, 56, 62], "7": [32, 38, 44, 50],
                                  "6": [8, 15, 22, 29, 36]}),
]


@dataclass(frozen=True)
class Point:
    """One row of the table. SSIM is of all planes, in decibels: 10 is 0.9, 20 is 0.99."""

    codec: str
    encoder: str
    preset: str
    crf: int
    clip: str
    kbits: float
    ssim_db: float
    cpu_secs: float


def point(encoder: Encoder, preset: str, crf: int, clip: Clip) -> Point:
    """Encodes, looks, and throws the file away."""
    source = reference(clip)
    made = FOLDER / "made.mkv"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", source, "-fps_mode", "passthrough",
         "-c:v", encoder.name, *encoder.argv(preset, crf), "-threads", THREADS, made], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    graph = "[0]setpts=N/25/TB[made];[1]setpts=N/25/TB[source];[made][source]ssim"
    said = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostats", "-i", made, "-i", source, "-threads", THREADS,
         "-lavfi", graph, "-f", "null", "-"], stderr=subprocess.PIPE, text=True, check=True).stderr
    bits = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "packet=size,duration_time", "-of", "csv=p=0",
         made], stdout=subprocess.PIPE, text=True, check=True).stdout
    packets = [line.split(",") for line in bits.split()]
    size = sum(int(packet[1]) for packet in packets)
    ssim = float(re.search(r" All:\S+ \((\S+)\)", said).group(1))
    secs = float(re.search(r"Duration: 00:00:(\S+),", said).group(1))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    made.unlink()
    return Point(encoder.codec, encoder.name, preset, crf, clip.name,
                 round(size * 8 / secs / 1000, 1), round(ssim, 3), round(cpu, 2))
