"""Ways taken in turn, their medians, and the table they end in."""

import statistics
import sys
import time
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional


# How long, and from which share of all processors on, work of others is looked for.
BUSY_LOOK_SECS = 3
BUSY_SHARE = 0.2


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_secs: float
    cpu_secs: float
    # The most at once of all programs together, where it was looked at.
    memory_mb: float = 0.0


@dataclass(frozen=True)
class Row:
    """A line of the table. `good` is None where nothing was promised."""

    name: str
    value: str
    ratio: str = ""
    target: str = ""
    good: Optional[bool] = None
    repeat: str = ""


def say(text: str) -> None:
    """Talk while it runs; the data is the table."""
    print(text, file=sys.stderr, flush=True)


def machine_is_busy() -> bool:
    """Whether processors have work that is not ours: the clock then measures the neighbours, which
    is said."""
    def ticks() -> List[int]:
        return [int(field) for field in open("/proc/stat").readline().split()[1:9]]

    before = ticks()
    time.sleep(BUSY_LOOK_SECS)
    spent = [after - earlier for earlier, after in zip(before, ticks())]
    idle = spent[3] + spent[4]
    busy = idle < (1 - BUSY_SHARE) * sum(spent)
    if busy:
        say("other work keeps the processors busy: the time on the clock cannot be compared")
    return busy


def in_turn(ways: Dict[str, Callable[[], Cost]], rounds: int) -> Dict[str, Cost]:
    """Medians of ways taken A B C A B C: what a machine does meanwhile meets all of them alike."""
    costs: Dict[str, List[Cost]] = {name: [] for name in ways}
    for round_number in range(1, rounds + 1):
        for name, way in ways.items():
            cost = way()
            costs[name].append(cost)
            say(f"  {round_number}/{rounds}  {name}: {cost.wall_secs:.2f} s"
                f" (processors {cost.cpu_secs:.2f} s)")
    return {
        name: Cost(
            statistics.median(cost.wall_secs for cost in seen),
            statistics.median(cost.cpu_secs for cost in seen),
            statistics.median(cost.memory_mb for cost in seen),
        )
        for name, seen in costs.items()
    }


def compared(subject: str, medians: Dict[str, Cost], at_most: Optional[float],
             repeat: str, unjudged: str = "") -> List[Row]:
    """The first way is what the others are measured by; `unjudged` is why no target counts."""
    first = next(iter(medians))
    rows = []
    for name, cost in medians.items():
        ratio = cost.wall_secs / medians[first].wall_secs
        cpu = cost.cpu_secs / medians[first].cpu_secs
        memory = ""
        if cost.memory_mb:
            memory = f", memory {cost.memory_mb / medians[first].memory_mb:.3f}"
        judged = at_most is not None and name != first
        rows.append(Row(
            name=f"{subject}: {name}",
            value=f"{cost.wall_secs:.2f} s",
            ratio=f"{ratio:.3f} (processors {cpu:.3f}{memory})",
            target=", ".join(filter(None, [f"<= {at_most:.2f}", unjudged])) if judged else "",
            good=ratio <= at_most if judged and not unjudged else None,
            repeat=repeat,
        ))
    return rows


def shown(rows: List[Row]) -> str:
    """The table, for a terminal and for a document."""
    verdict = {True: "met", False: "MISSED", None: "-"}
    lines = [("row", "median", "ratio", "target", "verdict", "again with")]
    lines += [(row.name, row.value, row.ratio, row.target or "-", verdict[row.good], row.repeat)
              for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines
    )
