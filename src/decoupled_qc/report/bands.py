"""Where a scan stands among the reference scans: percentiles and strips drawn as inline SVG."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape

from decoupled_qc.apply.verdict import percentile
from decoupled_qc.report.wording import as_float, number

WIDTH, LABEL, ROW, LEFT, RIGHT, FOOT = 640, 150, 26, 160, 16, 30
PERCENTILES = (5, 25, 50, 75, 95)


def score_rows(row: Mapping, reference: Mapping) -> list[dict]:
    """Return, per score of the clean reference, the scan's value, the middle 90 % of the reference, and the percentile."""
    rows = []
    for score, values in reference.get("clean", {}).items():
        found = as_float(row.get(score))
        if found is None or not values:
            continue
        low, _, middle, _, high = np.percentile(values, PERCENTILES)
        rows.append(
            {
                "score": score_name(score),
                "value": number(found, -3),
                "low": number(low, -3),
                "median": number(middle, -3),
                "high": number(high, -3),
                "n": len(values),
                "percentile": round(percentile(found, values)),
                "strip": strips(
                    {"": values}, found, title=f"{score} of the scan among clean reference scans", bare=True
                ),
            }
        )
    return rows


def score_name(column: str) -> str:
    """Return the name of a column of scores for reading, such as ``motion uncertainty``."""
    if column in ("snr", "cnr"):
        return column.upper()
    return column.removeprefix("uncertainty_").replace("_", " ") + " uncertainty" * column.startswith("uncertainty_")


def dimming(row: Mapping, reference: Mapping) -> float:
    """Return how much further the maps' scale reaches than their own values, so that a clean scan's maps look dim.

    1 where the scan is more uncertain than every clean reference scan, else the ratio to the most uncertain of those.
    """
    own = as_float(row.get("artefact_uncertainty"))
    clean = reference.get("clean", {}).get("artefact_uncertainty", [])
    return max(max(clean) / own, 1.0) if own and clean else 1.0


def severity_strips(row: Mapping, reference: Mapping) -> list[dict]:
    """Return, per artefact, strips of the artefact uncertainty among clean scans and each severity; the cause first."""
    found = as_float(row.get("artefact_uncertainty"))
    clean = reference.get("clean", {}).get("artefact_uncertainty", [])
    severities = reference.get("severity", {})
    if found is None:
        return []
    cause = row.get("cause")
    return [
        {
            "artefact": artefact,
            "open": artefact == cause,
            "strip": strips(
                {"clean": clean, **severities[artefact]},
                found,
                title=f"Artefact uncertainty of the scan among clean scans and scans with {artefact} of rising severity",
            ),
        }
        for artefact in sorted(severities, key=lambda name: name != cause)
    ]


def strips(groups: Mapping[str, Sequence[float]], value: float, *, title: str, bare: bool = False) -> Markup:
    """Return an SVG: per group its middle 90 % and 50 % and median, and a line where the scan is.

    Args:
        groups: Name → sorted values; an empty group is left out.
        value: Of the scan.
        title: What the drawing shows, for those who do not see it.
        bare: Whether to leave out names and axis, as in a cell of a table.
    """
    groups = {name: values for name, values in groups.items() if len(values)}
    width, left, right, row = (220, 6, 6, 18) if bare else (WIDTH, LEFT, RIGHT, ROW)
    height = row * len(groups) + (0 if bare else FOOT)
    scale, ticks = _scale([*(v for values in groups.values() for v in values), value])

    def x(at: float) -> float:
        return round(left + scale(at) * (width - left - right), 1)

    parts = [f'<svg class="strip" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">']
    parts.append(f"<title>{escape(title)}</title>")
    for place, (name, values) in enumerate(groups.items()):
        p5, p25, p50, p75, p95 = (x(v) for v in np.percentile(values, PERCENTILES))
        middle, inner = row * (place + 0.5), row * 0.5
        parts.append(f'<line class="whisker" x1="{p5}" x2="{p95}" y1="{middle}" y2="{middle}"/>')
        box = f'x="{p25}" y="{middle - inner / 2}" width="{max(p75 - p25, 1):.1f}" height="{inner}"'
        parts.append(f'<rect class="box" {box}/>')
        parts.append(
            f'<line class="median" x1="{p50}" x2="{p50}" y1="{middle - inner / 2}" y2="{middle + inner / 2}"/>'
        )
        if not bare:
            parts.append(
                f'<text x="{LABEL}" y="{middle + 4}" text-anchor="end">{escape(name)} (n = {len(values)})</text>'
            )
    bottom = row * len(groups)
    parts.append(f'<line class="here" x1="{x(value)}" x2="{x(value)}" y1="0" y2="{bottom}"/>')
    if not bare:
        parts.append(f'<line class="axis" x1="{left}" x2="{width - right}" y1="{bottom}" y2="{bottom}"/>')
        parts += [
            f'<text class="tick" x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{number(tick, -3)}</text>'
            for tick in ticks
        ]
    return Markup("".join([*parts, "</svg>"]))


def _scale(values: Sequence[float]):
    """Return a map of values to [0, 1], logarithmic where all are positive and span a decade, and values for its ticks."""
    low, high = min(values), max(values)
    if low > 0 and high / low > 10:
        begin, end = math.log10(low), math.log10(high)
        ticks = [10.0**n for n in range(math.ceil(begin), math.floor(end) + 1)]
        return (lambda v: (math.log10(v) - begin) / (end - begin)), ticks
    span = high - low or 1.0
    return (lambda v: (v - low) / span), [low + span * part for part in (0, 0.5, 1)]
