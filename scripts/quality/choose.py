"""The number of every level for every encoder: where its curve meets the level's target."""

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import mean
from typing import Dict, List

from measure import Point

# What a level looks like: SSIM of all planes in decibels, the mean of all clips.
TARGETS = {"very_low": 14.5, "low": 17.0, "medium": 19.0, "high": 21.25, "very_high": 22.5}

# How hard each encoder tries at a level: less for what is to be small and quick.
PRESETS = {
    "libx264": ["veryfast", "veryfast", "veryfast", "faster", "faster"],
    "libx265": ["veryfast", "veryfast", "veryfast", "faster", "faster"],
    "libvpx-vp9": ["5", "5", "4", "3", "2"],
    "libsvtav1": ["10", "10", "9", "8", "7"],
    "libaom-av1": ["8", "8", "7", "6", "6"],
}


@dataclass(frozen=True)
class Mean:
    """All clips at one number of one encoder."""

    crf: int
    ssim_db: float
    kbits: float
    cpu_secs: float


def curves(points: List[Point]) -> Dict[str, Dict[str, List[Mean]]]:
    """By encoder and preset: means over the clips, from the best to the worst."""
    grouped = defaultdict(list)
    for point in points:
        grouped[point.encoder, point.preset, point.crf].append(point)
    most = max(len(clips) for clips in grouped.values())
    made: Dict[str, Dict[str, List[Mean]]] = defaultdict(lambda: defaultdict(list))
    for (encoder, preset, crf), clips in sorted(grouped.items()):
        if len(clips) == most:
            made[encoder][preset].append(Mean(
                crf, mean(clip.ssim_db for clip in clips),
                # Bits of clips differ by hundreds: each counts by its own factor.
                math.exp(mean(math.log(clip.kbits) for clip in clips)),
                sum(clip.cpu_secs for clip in clips)))
    # An encoder that is measured in part has no curve yet.
    return {encoder: presets for encoder, presets in made.items()
            if all(len(presets.get(preset, [])) > 1 for preset in PRESETS[encoder])}


def at(curve: List[Mean], crf: float) -> Mean:
    """Between two measured numbers on a straight line; outside, on the nearest one."""
    below, above = next(
        ((a, b) for a, b in zip(curve, curve[1:]) if crf <= b.crf), (curve[-2], curve[-1]))
    share = (crf - below.crf) / (above.crf - below.crf)
    between = lambda a, b: a + (b - a) * share  # noqa: E731
    return Mean(round(crf), between(below.ssim_db, above.ssim_db),
                math.exp(between(math.log(below.kbits), math.log(above.kbits))),
                between(below.cpu_secs, above.cpu_secs))


def chosen(points: List[Point]) -> Dict[str, List[tuple]]:
    """Of each encoder, by level: preset, number, and what that is like."""
    made = {}
    for encoder, presets in curves(points).items():
        made[encoder] = []
        for preset, target in zip(PRESETS[encoder], TARGETS.values()):
            curve = presets[preset]
            near = min(range(1, 64), key=lambda crf: abs(at(curve, crf).ssim_db - target))
            made[encoder].append((preset, at(curve, near)))
    return made


def table(points: List[Point]) -> str:
    """For docs/quality.md."""
    rows = ["| encoder | level | preset | number | SSIM, dB (target) | kbit/s | processor time, s |",
            "|---|---|---|---|---|---|---|"]
    for encoder, levels in chosen(points).items():
        for (level, target), (preset, found) in zip(TARGETS.items(), levels):
            rows.append(f"| {encoder} | `{level}` | {preset} | {found.crf} | {found.ssim_db:.2f} "
                        f"({target}) | {found.kbits:.0f} | {found.cpu_secs:.1f} |")
    return "\n".join(rows)
