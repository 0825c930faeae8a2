import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from decoupled_qc.errors import InputError
from decoupled_qc.paper import tables, typeset
from decoupled_qc.rating.agreement import agreement

COLUMNS = ["set", "score", "rho", "ci_low", "ci_high", "p", "n_scans", "n_subjects", "n_anatomies"]


def correlations(target="dice", set_name="simulated", **changes):
    """A correlation table in which each cell can be told from its number."""
    cells = [
        ("artefact_uncertainty", "gm_mean", -0.5),
        ("artefact_uncertainty", "mean", -0.8123),
        ("snr", "predicted", 0.11),
        ("snr", "reference", 0.3),
        ("cnr", "predicted", 0.12),
        ("cnr", "reference", 0.2),
        ("entropy", "mean", -0.7),
        ("variance_task", "mean", 0.0),
    ]
    table = pd.DataFrame(cells, columns=["score", "aggregation", "rho"])
    table = table.assign(
        model="student",
        replicate=0,
        set=set_name,
        target=target,
        ci_low=table["rho"] - 0.1,
        ci_high=table["rho"] + 0.1,
        p=0.0002,
        n_scans=96,
        n_subjects=16,
        n_anatomies=1,
        note="",
    )
    return table.assign(**changes)


def test_table_1_has_the_agreed_columns_and_the_papers_scores_first():
    table = tables.correlation_table(correlations(), "simulated")
    assert list(table.columns) == COLUMNS
    found = table.set_index("score")["rho"]
    assert found.index.tolist()[:3] == ["artefact_uncertainty", "snr", "cnr"]
    assert found[["artefact_uncertainty", "snr", "cnr"]].tolist() == [-0.8123, 0.3, 0.2]
    assert table.set_index("score").loc["entropy", "rho"] == -0.7
    assert (table["n_anatomies"] == 1).all() and (table["set"] == "simulated").all()


def test_table_1_has_snr_and_cnr_in_both_masks_beside_each_other_and_says_what_they_need():
    table = tables.correlation_table(correlations(), "simulated")
    both = table.set_index("score")["rho"]
    assert both[["snr", "snr_predicted_masks", "cnr", "cnr_predicted_masks"]].tolist() == [0.3, 0.11, 0.2, 0.12]
    names = [f"{measure}, {mask} masks" for measure in ("SNR", "CNR") for mask in ("reference", "predicted")]
    assert tables.compared(table)["score"].tolist()[1:5] == names
    text = typeset.as_text(*tables.parts(table, stand_in=False))
    assert "SNR, reference masks" in text and "CNR, predicted masks" in text
    assert "need a reference, which the artefact uncertainty does not" in text
    assert "what it encloses and is brighter" in text
    blind = correlations()  # a network that found no grey matter has no such row
    found = tables.correlation_table(blind[blind["aggregation"] != "predicted"], "simulated")
    assert not found["score"].str.contains("predicted").any()


def test_table_2_takes_predicted_masks_and_the_rating():
    both = pd.concat([correlations("rating", "real"), correlations("dice", "real", rho=9.0)])
    table = tables.correlation_table(both, "real")
    assert table["rho"].tolist()[:3] == [-0.8123, 0.11, 0.12]


def spread_of(n_replicates):
    """The spread of all scores but entropy."""
    rows = correlations()[["model", "set", "target", "score", "aggregation"]]
    return rows[rows["score"] != "entropy"].assign(rho_seed_sd=0.0417, n_replicates=n_replicates)


def test_the_spread_over_trainings_stands_beside_rho_where_there_are_several():
    table = tables.correlation_table(correlations(), "simulated", spread_of(3))
    title, cells, notes = tables.parts(table, stand_in=False)
    column = cells.set_index("score")["seed SD (n)"]
    assert column["Artefact uncertainty"] == "0.042 (3)" and column["Entropy"] == "NA"
    assert "NA: not computed over trainings" in notes[-1]
    assert list(tables.correlation_table(correlations(), "simulated", spread_of(1)).columns) == COLUMNS


def test_a_missing_score_is_named():
    without = correlations()
    with pytest.raises(InputError, match=r"simulated.*cnr \(reference\)"):
        tables.correlation_table(without[without["score"] != "cnr"], "simulated")


def test_several_networks_are_refused():
    both = pd.concat([correlations(), correlations(replicate=1)])
    with pytest.raises(InputError, match="several networks"):
        tables.correlation_table(both, "simulated")


def test_text_stands_beside_the_papers_values():
    text = typeset.as_text(*tables.parts(tables.correlation_table(correlations(), "simulated"), stand_in=True))
    line = next(line for line in text.splitlines() if line.startswith("SNR, reference masks"))
    assert line.split()[3:] == ["0.300", "0.200", "to", "0.400", "<", "0.001", "96", "16", "1", "0.326", "0.002"]
    line = next(line for line in text.splitlines() if line.startswith("Artefact uncertainty "))
    assert "−0.812" in line and "−0.850" in line and "n/a" in line
    assert "n = 84" in text and "stand-in" not in text.lower()


@pytest.mark.parametrize("write", [typeset.as_text, typeset.as_markdown, typeset.as_latex])
def test_table_2_says_stand_in_only_where_it_is_one(write):
    table = tables.correlation_table(correlations("rating", "real"), "real")
    stand_in = write(*tables.parts(table, True))
    assert "stand-in" in stand_in.lower() and "n = 60" in stand_in
    assert "stand-in" not in write(*tables.parts(table, False)).lower()


def test_a_footnote_of_table_2_states_how_far_raters_agree():
    grades = {"a": "11442", "b": "12442", "c": "11443"}
    rows = [(f"sub-{n}_x", rater, float(grade)) for rater, of in grades.items() for n, grade in enumerate(of)]
    found = agreement(pd.DataFrame(rows, columns=["scan", "rater", "rating"]))
    (note,) = tables.rater_notes(found)
    kappas = [
        cohen_kappa_score(list(grades[one]), list(grades[other]), weights="quadratic", labels=list("1234"))
        for one, other in ("ab", "ac", "bc")
    ]
    assert [float(value) for value in re.findall(r"(\d\.\d\d) \[", note)] == pytest.approx(kappas, abs=0.005)
    assert note.count("5 scans") == 3
    alone = pd.DataFrame(rows[:5], columns=["scan", "rater", "rating"])
    assert tables.rater_notes(agreement(alone)) == []


def test_numbers_that_do_not_exist_are_na():
    table = tables.correlation_table(correlations(rho=np.nan, ci_low=np.nan, ci_high=np.nan, p=np.nan), "simulated")
    text = typeset.as_text(*tables.parts(table, stand_in=False))
    assert "nan" not in text.lower() and "NA" in text


def test_a_number_that_rounds_to_0_has_no_minus_sign():
    assert [typeset.number(value, 2) for value in (-0.004, -0.006, 0.0, -1.5)] == ["0.00", "−0.01", "0.00", "−1.50"]


def test_markdown_and_latex_have_a_cell_for_each_column():
    table = tables.correlation_table(correlations(), "simulated")
    rows = [line for line in typeset.as_markdown(*tables.parts(table, False)).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1 and len(rows) == 2 + len(table)
    latex = typeset.as_latex(*tables.parts(table, False))
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(table) and all(line.count("&") == 8 for line in body)
    assert "%" not in latex.replace(r"\%", "")


def test_side_by_side_is_aligned_and_counts_anatomies():
    lines = tables.side_by_side(tables.correlation_table(correlations(), "simulated")).splitlines()
    assert "96 scans, 16 subjects from 1 anatomy" in lines[1]
    grid = [line for line in lines[3:] if line.strip()]
    assert len({len(line) for line in grid}) == 1
    assert any("−0.812 [−0.912 to −0.712]" in line and "−0.850" in line for line in grid)


def test_saved_csv_reads_back(tmp_path):
    table = tables.correlation_table(correlations(), "simulated")
    files = [tmp_path / f"table_1.{suffix}" for suffix in ("csv", "md", "tex", "txt")]
    typeset.write(table, *tables.parts(table, False), *files)
    pd.testing.assert_frame_equal(pd.read_csv(files[0]), table)
    assert all(path.stat().st_size > 100 for path in files)


def test_a_table_says_where_its_labels_come_from():
    rows = [("train", "a"), ("test", "FreeSurfer"), ("test", "surfaces"), ("real", "b"), ("real", "b, moved rigidly")]
    manifest = pd.DataFrame(rows, columns=["role", "label_source"])
    assert (
        tables.labels_of(manifest, "simulated", False)
        == tables.labels_of(manifest, "real", True)
        == "FreeSurfer; surfaces"
    )
    labels = tables.labels_of(manifest, "real", False)
    table = tables.correlation_table(correlations(), "simulated")
    text = typeset.as_text(*tables.parts(table, stand_in=False, labels=labels))
    assert text.rstrip().endswith("Labels: b; b, moved rigidly.")
    assert "Labels:" not in typeset.as_text(*tables.parts(table, stand_in=False))


def test_words_stand_at_the_left_and_numbers_at_the_right():
    cells = pd.DataFrame(
        {
            "score": ["SNR", "uncertainty"],
            "rho": ["NA", "\N{MINUS SIGN}0.5"],
            "p": ["< 0.001", ""],
            "verdict": ["agrees", ""],
        }
    )
    assert typeset.as_markdown("Title", cells, []).splitlines()[3] == "|---|--:|--:|---|"
    assert r"\begin{tabular}{lrrl}" in typeset.as_latex("Title", cells, [])
    first, second = typeset.aligned(cells)[2:]
    assert first == "SNR            NA  < 0.001  agrees " and second.startswith("uncertainty  \N{MINUS SIGN}0.5")


def test_a_table_longer_than_a_page_goes_over_several_with_its_header_on_each():
    cells = pd.DataFrame({"score": [f"s{n}" for n in range(40)], "rho": ["0.5"] * 40})
    long, short = (typeset.as_latex("Title", rows, ["Note."]) for rows in (cells, cells[:35]))
    assert long.count(r"\begin{longtable}{lr}") == long.count(r"\end{longtable}") == 1 and "tabular" not in long
    assert long.count(r"score & $\rho$ \\") == 2 and r"\endfirsthead" in long
    assert long.count("s39 & 0.5") == 1 and short.count(r"\begin{tabular}{lr}") == 1 and "longtable" not in short


PREAMBLE = r"\documentclass{article}\usepackage{booktabs,graphicx,longtable}\usepackage[T1]{fontenc}\begin{document}"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles_and_no_table_is_wider_than_the_text(tmp_path):
    words = pd.DataFrame({"score": [f"a & b_{n} % 5 # | < rho" for n in range(3)], "rho": ["\N{MINUS SIGN}0.5"] * 3})
    wide = pd.concat([words.add_suffix(f" {n}") for n in range(6)], axis=1)
    long = pd.concat([words] * 20)
    text = [typeset.as_latex("Table 1. A title", cells, ["Note: 95 %."]) for cells in (words, wide, long)]
    (tmp_path / "all.tex").write_text("\n".join([PREAMBLE, *text, r"\end{document}"]))
    call = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Overfull" not in done.stdout, done.stdout[-2000:]
