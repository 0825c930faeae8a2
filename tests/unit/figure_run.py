"""A run that never happened, and every figure drawn from it."""

import matplotlib.text
import pandas as pd
from fake_run import SPACING_MM
from phantom import SETTINGS

from decoupled_qc.analysis.between_heads import between_heads
from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.leaderboard import leaderboard as ranked
from decoupled_qc.analysis.prediction import decision_coverage, decisions
from decoupled_qc.analysis.rank_ranges import rank_ranges
from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import read_scores, read_subjects, read_wide
from decoupled_qc.analysis.segmentation import segmentation
from decoupled_qc.analysis.severity import severity_trend
from decoupled_qc.analysis.volumes import volumes
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_1 import figure_1
from decoupled_qc.figures.figure_2 import figure_2
from decoupled_qc.figures.figure_3 import figure_3
from decoupled_qc.figures.figure_4 import figure_4
from decoupled_qc.figures.figure_5 import figure_5
from decoupled_qc.figures.figure_6 import figure_6
from decoupled_qc.figures.figure_7 import figure_7
from decoupled_qc.figures.figure_8 import figure_8
from decoupled_qc.figures.figure_9 import figure_9
from decoupled_qc.figures.figure_10 import figure_10
from decoupled_qc.figures.figure_calibration import figure_calibration
from decoupled_qc.figures.figure_leakage import figure_leakage
from decoupled_qc.figures.figure_risk import figure_risk
from decoupled_qc.figures.figure_severity import figure_severity
from decoupled_qc.figures.figure_simulator import figure_simulator
from decoupled_qc.figures.leaderboard import leaderboard

N_SUBJECTS = 4
DECISION = {"target_dice": 0.85, "error_rate": 0.4}
STAND_IN = "stand-in: artefacts by foreign simulators, not real scans"


class Run:
    """A run's folder and the tables that the figures take."""

    def __init__(self, folder, artefacts):
        self.folder, self.artefacts = folder, list(artefacts)
        scores, manifest = folder / "scores.csv", folder / "cohort/manifest.tsv"
        self.wide = read_wide(scores, manifest)
        draws = {"n_boot": 100, "n_permutations": 99, "seed": 1}
        read = read_scores(scores), read_subjects(manifest)
        self.correlation = correlate(*read, **draws)
        del draws["n_permutations"]
        self.difference = difference(*read, **draws)
        self.decoupling = pd.concat([decoupling(*read, **draws), between_heads(*read, **draws)])
        self.trend = severity_trend(*read, **draws)
        self.risk = risk_coverage(*read, dice_cuts=[0.5, 0.75, 0.85], **draws)
        self.replicates = replicates(*read)
        self.ranges = rank_ranges(*read, **draws)
        self.board = ranked(self.correlation, self.risk, self.replicates, self.ranges, dice_cut=0.85)
        self.segmentation = segmentation(*read, **draws)
        self.volumes = volumes(*read, voxel_ml=SPACING_MM**3 / 1000, **draws)
        self.decisions = decisions(*read, **DECISION)
        self.held = decision_coverage(self.decisions, **draws)
        self.simulated = ["clean", *(f"sim-{name}" for name in artefacts)]

    def scans(self, *conditions):
        return [self.folder / "conditions" / name for name in conditions]

    def maps(self, *conditions):
        return [self.folder / "predictions/student/rep-0" / name for name in conditions]

    def draw(self, name, stand_in=True, levels=4, **settings):
        """Draw a figure as its rule does."""
        wide = self.wide if stand_in else self.wide.rename(columns={"rating:stand_in": "rating:rated"})
        both = (self.scans(*self.simulated), self.maps(*self.simulated))
        real = (self.scans("clean", "real"), self.maps("clean", "real"))
        sweeps = [f"sweep-{artefact}" for artefact in ("noise", "blur") if artefact in self.artefacts]
        drawers = {
            "1": lambda: figure_1(self.wide, *both, self.artefacts),
            "2": lambda: figure_2(
                self.artefacts,
                route="paper",
                absence_weight=0.0,
                absence_form="mean",
                presence_weight=0.1,
                segmentation_loss="plain",
                beta=0.5,
                presence=True,
            ),
            "3": lambda: figure_3(self.wide, both[0], self.artefacts, example_severity=0.75),
            "4": lambda: figure_4(self.wide, *both, self.artefacts, example_severity=0.75),
            "5": lambda: figure_5(
                self.wide, self.scans("clean", *sweeps), self.artefacts, spacing_mm=SPACING_MM, **settings
            ),
            "6": lambda: figure_6(self.wide, *both, self.artefacts),
            "7": lambda: figure_7(self.wide, self.correlation, self.artefacts),
            "8": lambda: figure_8(wide, *real, self.artefacts, stand_in=stand_in),
            "9": lambda: figure_9(wide, *real, self.artefacts, stand_in=stand_in, levels=levels),
            "10": lambda: figure_10(wide, self.correlation, self.artefacts, stand_in=stand_in, levels=levels),
            "leaderboard": lambda: leaderboard(self.board, stand_in=stand_in),
            "leakage": lambda: figure_leakage(self.decoupling, self.artefacts),
            "risk": lambda: figure_risk(self.wide, self.risk),
            "severity": lambda: figure_severity(self.wide, self.trend, self.artefacts),
            "calibration": lambda: figure_calibration(self.volumes, self.decisions, self.held, **DECISION),
            "simulator": lambda: figure_simulator(
                self.folder / "conditions/clean", SETTINGS, spacing_mm=SPACING_MM, seed=0
            ),
        }
        return drawers[name]()


ALL = [
    ("1", {}),
    ("2", {}),
    ("3", {}),
    ("4", {}),
    ("5", {"bars": "sum_var"}),
    ("6", {}),
    ("7", {}),
    ("8", {}),
    ("9", {}),
    ("10", {}),
    ("leaderboard", {}),
    ("leakage", {}),
    ("risk", {}),
    ("severity", {}),
    ("calibration", {}),
    ("simulator", {}),
]


def texts(drawing):
    found = [text.get_text() for text in drawing.figure.findobj(matplotlib.text.Text)]
    return "\n".join(text for text in found if text)


def read_back(drawing, tmp_path):
    base = tmp_path / "figure"
    files = {name: base.with_suffix(f".{name}") for name in ("pdf", "png", "csv")}
    style.save(drawing, **files, caption=base.with_suffix(".txt"))
    return files


SMALLEST_PT = 5.5


def assert_texts_fit(figure):
    """Every text that is drawn lies on the page, large enough to be read in print, and none on another."""
    figure.draw_without_rendering()
    boxes = []
    for text in figure.findobj(lambda item: isinstance(item, matplotlib.text.Text) and item.get_visible()):
        box = text.get_window_extent()
        if text.get_text().strip() and box.width > 0:
            boxes.append((text.get_text(), box))
            assert text.get_fontsize() >= SMALLEST_PT, f"'{text.get_text()}' has {text.get_fontsize()} pt"
    # Text that an axis holds but does not draw (ticks out of range, axes switched off) has no place in the layout.
    drawn = [(text, box) for text, box in boxes if _is_drawn(figure, text)]
    page = figure.bbox
    for text, box in drawn:
        assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1, f"'{text}' runs out of the page sideways"
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1, f"'{text}' runs out of the page in height"
    for index, (text, box) in enumerate(drawn):
        for other, other_box in drawn[index + 1 :]:
            overlap_x = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
            overlap_y = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
            assert overlap_x <= 1 or overlap_y <= 1, f"'{text}' and '{other}' overlap"


def _is_drawn(figure, text):
    """Say whether a text is among those that the layout takes into account."""
    for axes in figure.findobj(lambda item: hasattr(item, "get_xticklabels")):
        low, high = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        for axis, limits in ((axes.xaxis, low), (axes.yaxis, high)):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                outside = not limits[0] <= tick.get_loc() <= limits[1]
                if text in (tick.label1.get_text(), tick.label2.get_text()) and (outside or not axes.axison):
                    return False
    return True
