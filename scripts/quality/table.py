"""The table of what was measured, on disk: a row an encode, added as they are made."""

import csv
from dataclasses import astuple, fields
from pathlib import Path
from typing import List

from clips import ROOT
from measure import Point

PATH = ROOT / "docs" / "quality.csv"
NAMES = [field.name for field in fields(Point)]


def read(path: Path = PATH) -> List[Point]:
    """All rows so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [Point(row["codec"], row["encoder"], row["preset"], int(row["crf"]), row["clip"],
                      float(row["kbits"]), float(row["ssim_db"]), float(row["cpu_secs"]))
                for row in csv.DictReader(file)]


def add(point: Point) -> None:
    """One more."""
    is_new = not PATH.exists()
    with PATH.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(NAMES)
        writer.writerow(astuple(point))
