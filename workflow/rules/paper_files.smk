"""Which files a figure or table of the paper reads and writes."""

PREDICTIONS = f"{OUT}/predictions/student/rep-0"
FIGURES = [1, 2, 3, 4, *([5] if {"sweep-noise", "sweep-blur"} & {*SWEEPS} else []), 6, 7, 8, 9, 10]
FIGURES += ["leaderboard", "leakage", "risk", *(["severity"] if SWEEPS else []), "calibration", "simulator"]
ANALYSES = ["correlation", "decoupling", "risk_coverage", "volumes", "decisions", "leaderboard", "replicates"]
ANALYSES += ["segmentation"]
ANALYSES += ["severity"] if SWEEPS else []
ANALYSES += ["real_artefacts"] if SCANS["real"] else []
# As tables of a paper too.
PRINTED = ["correlation", "leaderboard", "difference", "risk_coverage", "decoupling", "segmentation", "volumes"]
PRINTED += ["severity"] if SWEEPS else []
# Keys of training that figure 2 states.
LOSS = ["route", "absence_weight", "absence_form", "presence_weight", "segmentation_loss", "beta"]


RATED = not HEADS and SCANS["real"] is not None and not SCORING["ratings"]  # by the cohort's own raters
RATING_LEVELS = 1 + abs(SCANS["rating"]["best"] - SCANS["rating"]["worst"]) if RATED else 4


def figure_files(name):
    """Return the files of a figure."""
    base = f"{OUT}/figures/figure_{name}"
    category, caption = "Figures", f"../report/figure_{name}.rst"
    png = report(f"{base}.png", category=category, caption=caption, labels={"figure": str(name)})
    return {
        "pdf": f"{base}.pdf",
        "png": png,
        "csv": f"{base}.csv",
        "caption": f"{base}.txt",
    }


def table_files(number):
    """Return the files of a table."""
    base = f"{OUT}/tables/table_{number}"
    text = report(
        f"{base}.txt",
        category="Tables",
        caption=f"../report/table_{number}.rst",
        labels={"table": str(number)},
    )
    return {
        "csv": f"{base}.csv",
        "markdown": f"{base}.md",
        "latex": f"{base}.tex",
        "text": text,
    }


def scans_of(*conditions):
    """Return the folders of conditions."""
    return [f"{OUT}/conditions/{condition}" for condition in conditions]


def maps_of(*conditions):
    """Return the folders of the student's maps of conditions."""
    return [f"{PREDICTIONS}/{condition}" for condition in conditions]
