"""What every bench prints: one table of medians."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Figure = tuple[str, str, bool]
"""What a process calls it, what the table calls it, and whether more is better."""
Runs = Mapping[str, float]
"""What one run found, by figure."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both programs, and by how much ours is better."""

    label: str
    ours: float
    theirs: float
    ratio: float


def compared(figures: Sequence[Figure], ours: Sequence[Runs], theirs: Sequence[Runs]) -> list[Compared]:
    """The medians of the runs of both."""
    rows = []
    for name, label, more_is_better in figures:
        mine, other = (median(run[name] for run in runs) for runs in (ours, theirs))
        rows.append(Compared(label, mine, other, mine / other if more_is_better else other / mine))
    return rows


def print_compared(title: str, rows: Sequence[Compared]) -> None:
    """A table with both programs beside each other."""
    cells = [[row.label, *map(format_value, (row.ours, row.theirs)), f"{row.ratio:.2f}"] for row in rows]
    print_table([title, "Python", "JavaScript", "Python is better by"], cells)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def format_value(value: float) -> str:
    """Three significant digits, thousands grouped: 0.0871, 3.21, 121,000."""
    if value == 0:
        return "0"
    digits = f"{value:.3g}"
    return digits if "e" not in digits and abs(value) < 1000 else f"{float(digits):,.0f}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())  # noqa: T201
