"""Tables of scores that the tests of the statistics share, and single rows of what is made of them."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis.scores import COLUMNS

DRAWS = {"n_boot": 300, "n_permutations": 299, "seed": 1}
HEADS = ("blur", "noise", "spike")


def long_table(n_subjects=6, artefacts=("noise", "blur"), seed=0, **extra):
    """Scores of clean and simulated scans in which more uncertainty is less Dice."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(n_subjects):
        for kind in ("none", *artefacts):
            condition = "clean" if kind == "none" else f"sim-{kind}"
            scan = f"sub-{subject:02d}_{condition}"
            dice = rng.uniform(0.5, 0.9)
            values = {
                ("dice", "gm"): dice,
                ("artefact_uncertainty", "mean"): 1 - dice + rng.normal(0, 0.03),
                ("snr", "reference"): rng.normal(5, 1),
                **extra,
            }
            for key, value in values.items():
                severity = np.nan if kind == "none" else 0.5
                rows.append((f"sub-{subject:02d}", scan, "student", 0, condition, kind, severity, *key, value))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def subjects_of(scores):
    names = sorted(scores["subject"].unique())
    return pd.DataFrame({"subject": names, "anatomy": ["a", "b"] * (len(names) // 2) + ["a"] * (len(names) % 2)})


def cell(table, set_name, score, target="dice"):
    found = table[(table["set"] == set_name) & (table["score"] == score) & (table["target"] == target)]
    assert len(found) == 1
    return found.iloc[0]


def run_of(rises, n_subjects=10, seed=0, kind="sim", **task):
    """Scores in which each head's log variance rises by rises[artefact][head] over the subject's clean scan."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(n_subjects):
        name, base = f"sub-{subject:02d}", {head: rng.normal() for head in (*HEADS, "task")}
        for artefact in ("none", *rises):
            condition = "clean" if artefact == "none" else f"{kind}-{artefact}"
            rise = {"task": task.get(artefact, 0.0), **rises.get(artefact, {})}
            for head in (*HEADS, "task"):
                value = np.exp(base[head] + rise.get(head, 0.0))
                key = (f"variance_{head}", "mean")
                rows.append((name, f"{name}_{condition}", "student", 0, condition, artefact, 0.5, *key, value))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def value(table, quantity, artefact="all", head="all"):
    found = table[(table["quantity"] == quantity) & (table["artefact"] == artefact) & (table["head"] == head)]
    assert len(found) == 1
    return found.iloc[0]
