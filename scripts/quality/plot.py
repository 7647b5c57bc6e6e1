"""The curves as pictures, by hand: no library, readable on light and on dark ground."""

import math
from pathlib import Path
from typing import Callable, List

from choose import PRESETS, TARGETS, Mean, chosen, curves
from clips import ROOT
from measure import Point

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 60, 130, 40, 50
COLORS = {"libx264": "#2f6fde", "libx265": "#d9822b", "libvpx-vp9": "#2a9d63",
          "libsvtav1": "#c23b75", "libaom-av1": "#7d5fc9"}
INK, GRID = "#6b7280", "#9ca3af"


def plot(points: List[Point]) -> None:
    """SSIM against bits, and against time."""
    chart(points, IMAGES / "quality-bits.svg", "kbit/s, geometric mean of the clips",
          lambda found: found.kbits)
    chart(points, IMAGES / "quality-time.svg", "processor time for all clips, seconds",
          lambda found: found.cpu_secs)


def chart(points: List[Point], path: Path, across: str, value: Callable[[Mean], float]) -> None:
    """A line for each encoder along its measured points, and a dot for each level."""
    levels = chosen(points)
    lines = {encoder: sorted((value(found), found.ssim_db)
                             for preset in dict.fromkeys(PRESETS[encoder])
                             for found in presets[preset])
             for encoder, presets in curves(points).items()}
    values = [x for line in lines.values() for x, _ in line]
    values += [value(found) for encoder in lines for _, found in levels[encoder]]
    low, high = math.log(min(values) / 1.1), math.log(max(values) * 1.1)
    x_of = lambda x: LEFT + (math.log(x) - low) / (high - low) * (WIDTH - LEFT - RIGHT)  # noqa: E731
    y_of = lambda y: TOP + (26 - y) / (26 - 11) * (HEIGHT - TOP - BOTTOM)  # noqa: E731
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="system-ui, sans-serif" font-size="13">',
             text(LEFT, 20, "SSIM of all planes, dB; the mean of the clips")]
    for name, target in TARGETS.items():
        parts.append(rule(LEFT, y_of(target), WIDTH - RIGHT, y_of(target), "4 4"))
        parts.append(text(LEFT + 4, y_of(target) - 4, name))
    for db in range(12, 26, 2):
        parts.append(text(LEFT - 8, y_of(db) + 4, str(db), "end"))
    for step in ticks(math.exp(low), math.exp(high)):
        parts.append(rule(x_of(step), HEIGHT - BOTTOM, x_of(step), HEIGHT - BOTTOM + 5))
        parts.append(text(x_of(step), HEIGHT - BOTTOM + 20, f"{step:g}", "middle"))
    parts.append(rule(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, across, "middle"))
    for number, (encoder, line) in enumerate(lines.items()):
        color = COLORS[encoder]
        presets = curves(points)[encoder]
        for preset in dict.fromkeys(PRESETS[encoder]):
            spots = " ".join(f"{x_of(value(found)):.1f},{y_of(found.ssim_db):.1f}"
                             for found in presets[preset])
            parts.append(f'<polyline points="{spots}" fill="none" stroke="{color}" '
                         'stroke-width="1.6"/>')
        for _, found in levels[encoder]:
            parts.append(f'<circle cx="{x_of(value(found)):.1f}" cy="{y_of(found.ssim_db):.1f}" '
                         f'r="4" fill="{color}"/>')
        y = TOP + 20 * number + 10
        parts.append(f'<circle cx="{WIDTH - RIGHT + 20}" cy="{y}" r="5" fill="{color}"/>')
        parts.append(text(WIDTH - RIGHT + 32, y + 4, encoder))
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Grey enough for either ground."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}">{words}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, dashes: str = "none") -> str:
    """A thin line."""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}" '
            f'stroke-dasharray="{dashes}"/>')


def ticks(low: float, high: float) -> List[float]:
    """1, 2, 5, 10, 20, 50 and so on."""
    steps = [base * 10 ** power for power in range(5) for base in (1, 2, 5)]
    return [step for step in steps if low <= step <= high]
