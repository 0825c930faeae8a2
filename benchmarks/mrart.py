"""How MRIQC's measures follow MR-ART's expert scores: no image is needed, only the tables that come with the data set.

    python benchmarks/mrart.py FOLDER

FOLDER holds ``scores.tsv`` and ``group_T1w.tsv`` of OpenNeuro ds004173 (CC0; both lie below its ``derivatives``). Writes
``benchmarks/mrart.csv``: a row a measure with Spearman's rho and Kendall's tau-b of the expert's score (1 good, 3 bad), and the
polyserial correlation, each with a 95 % interval by bootstrap of whole people.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.real import real_artefacts

OUT = Path(__file__).parent / "mrart.csv"
MEASURES = ("cjv", "snr_total", "cnr", "efc", "fber", "fwhm_avg")
DRAWS = {"n_boot": 5000, "seed": 1}


def main(folder: Path) -> None:
    """Write the table."""
    both = pd.read_csv(folder / "scores.tsv", sep="\t").merge(
        pd.read_csv(folder / "group_T1w.tsv", sep="\t"), on="bids_name"
    )
    scans = {
        "subject": both["bids_name"].str.partition("_")[0],
        "scan": both["bids_name"],
        "model": "mriqc",
        "replicate": 0,
    }
    scans |= {"condition": "real", "artefact": "motion", "severity": np.nan}
    values = {("rating", "expert"): both["score"].astype(float)} | {(name, "mriqc"): both[name] for name in MEASURES}
    parts = [
        pd.DataFrame({**scans, "metric": name, "aggregation": of, "value": found})
        for (name, of), found in values.items()
    ]
    people = pd.DataFrame({"subject": scans["subject"].unique()}).assign(anatomy=lambda table: table["subject"])
    run = pd.concat(parts, ignore_index=True), people
    found = correlate(*run, n_permutations=9999, **DRAWS).set_index("score")
    behind = real_artefacts(*run, **DRAWS).query("quantity == 'polyserial'").set_index("score")
    columns = {"value": "polyserial", "ci_low": "polyserial_low", "ci_high": "polyserial_high"}
    table = found[["rho", "ci_low", "ci_high", "p", "tau_b", "tau_low", "tau_high"]]
    table = table.join(behind[list(columns)].rename(columns=columns)).join(found[["n_scans", "n_subjects"]])
    table.to_csv(OUT, float_format="%.4g")
    print(table.to_string(float_format="%.3f"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
