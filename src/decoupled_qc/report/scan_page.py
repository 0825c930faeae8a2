"""One HTML page per scan: the verdict, the scan with its maps to scroll through, its numbers beside the reference."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import nibabel as nib

from decoupled_qc.apply.results_folder import PAGE
from decoupled_qc.files import write_whole
from decoupled_qc.report import bands, stills, viewer, wording
from decoupled_qc.report.pictures import draw_pictures
from decoupled_qc.templates import environment


def write_scan_page(
    out: Path, row: Mapping, image: nib.Nifti1Image, maps: Mapping[str, nib.Nifti1Image], reference: Mapping
) -> Path:
    """Write the page of a scan that was predicted, and its thumbnail for the group's page.

    Args:
        out: Folder of the predictions.
        row: The scan's row of ``predictions.csv``, with status ``ok``.
        image: The scan itself, as :func:`decoupled_qc.report.volumes.read_volume` returns it.
        maps: ``gm_dseg`` and ``<cause>_variance``, ``total_variance`` among them, on one grid.
        reference: As in ``reference.json``: scores of validation scans.

    Returns:
        ``out/<folder>/<scan>.html``.
    """
    out, scan = Path(out), str(row["scan"])
    folder = out / str(row["folder"])
    artefacts = list(reference["artefacts"])
    cause = str(row.get("cause"))
    pictures = draw_pictures(
        image,
        maps["gm_dseg"],
        {cause: maps[f"{cause}_variance"] for cause in ("total", *artefacts, "task")},
        shown=cause if cause in artefacts else "total",
        dimming=bands.dimming(row, reference),
    )
    script = viewer.put_viewer(out)
    page = (
        environment("decoupled_qc.report")
        .get_template("scan_page.html")
        .render(
            scan=scan,
            verdict=wording.verdict(row),
            decision=wording.text(row.get("decision")),
            unlike=wording.as_bool(row.get("unlike_training")),
            reason=wording.text(row.get("unlike_reason")),
            facts=_facts(row),
            scores=bands.score_rows(row, reference),
            severities=bands.severity_strips(row, reference),
            reference=reference,
            pictures=pictures,
            colours=stills.COLOURS,
            script=quote(os.path.relpath(out / script, folder)) if script else "",
            index=quote(os.path.relpath(out / PAGE, folder)),
            version=viewer.VERSION,
        )
    )
    target = folder / f"{scan}.html"
    with write_whole(folder / f"{scan}_thumbnail.png") as partial:
        partial.write_bytes(pictures.thumbnail)
    with write_whole(target) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def _facts(row: Mapping) -> list[tuple[str, str]]:
    """Return name and value of what the page lists under the verdict."""
    volume = wording.number(row.get("gm_volume_ml"), 0, "mL")
    if span := wording.interval(row, "gm_volume_low_ml", "gm_volume_high_ml", 0):
        volume += f" ({span})"
    return [
        ("Grey-matter volume", volume),
        ("Artefact uncertainty", wording.number(row.get("artefact_uncertainty"), -3)),
        ("Higher than, of clean reference scans", wording.number(row.get("percentile_clean"), 0, "%")),
        ("Nearest reference severity", wording.text(row.get("nearest_severity")) or "–"),
        ("SNR", wording.number(row.get("snr"), 1)),
        ("CNR", wording.number(row.get("cnr"), 2)),
        ("Input", wording.text(row.get("input"))),
    ]
