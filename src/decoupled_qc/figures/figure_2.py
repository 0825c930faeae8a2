"""Figure 2: the three stages of training, drawn from the run's own artefacts and settings."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing

WIDTH, HEIGHT = 178.0, 74.0  # of the drawing's coordinates, which are millimetres in print
LEARNS, DATA = "#fdebc8", "#f0f0f0"
STAGES = ("1  task network", "2  one teacher per artefact", "3  student")
COLUMN_MM = (6.0, 66.0, 126.0)  # left edges of the three stages
BOX_MM = (46.0, 10.0)
COLUMNS = ["stage", "network", "image", "pseudo_label_of", "loss"]


def figure_2(
    artefacts: Sequence[str],
    *,
    route: str,
    absence_weight: float,
    absence_form: str,
    segmentation_loss: str,
    beta: float,
    presence: bool,
    presence_weight: float,
) -> Drawing:
    """Draw what each network sees, what it learns from and what is frozen.

    Args:
        artefacts: In the config's order, with their own colours.
        route, absence_weight, absence_form, segmentation_loss, beta, presence_weight: See
            :class:`decoupled_qc.training.recipe.Recipe`.
        presence: See :class:`decoupled_qc.network.DecoupledUNet`.
    """
    figure = style.new_figure(WIDTH, HEIGHT)
    axes = figure.subplots()
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="equal")
    axes.set_axis_off()
    colours = style.palette(artefacts, [])
    first, second, third = COLUMN_MM
    for left, title in zip(COLUMN_MM, STAGES, strict=True):
        axes.text(left, HEIGHT - 3, title, fontsize=style.FONT_PT + 1, fontweight="bold", va="top")

    _box(axes, first, 53, "clean image x", DATA)
    _box(axes, first, 35, "task network\nf, σ²(task)", LEARNS)
    _arrow(axes, (first + 23, 53), (first + 23, 45))

    _box(axes, second, 53, "x with artefact k", DATA)
    step = min(1.6, 8.0 / len(artefacts))
    for place, name in reversed(list(enumerate(artefacts))):
        _box(axes, second + place * step, 35 - place * step, "", LEARNS, edge=colours[name])
    times = " p(k)" if presence else ""
    _box(axes, second, 35, f"teacher k\nf, σ²(task), σ²(k){times}", LEARNS, edge=colours[artefacts[0]])
    _arrow(axes, (second + 23, 53), (second + 23, 45))
    _arrow(axes, (first + 46, 40), (second, 40), "σ²(task) of x", frozen=True)

    _box(axes, third, 53, "x with any artefacts", DATA)
    _box(axes, third, 35, f"student\nf, σ²(task), all σ²(k){times}", LEARNS)
    _arrow(axes, (third + 23, 53), (third + 23, 45))
    _arrow(axes, (second + 46 + step * (len(artefacts) - 1), 40), (third, 40), "σ²(k)", frozen=True)

    below, end = 24.0, third + 8
    axes.plot([first + 38, first + 38, end], [35, below, below], color="#333333", linewidth=0.8, linestyle="dashed")
    _arrow(axes, (end, below), (end, 35), frozen=True)
    axes.text((first + end) / 2 + 20, below + 1, "σ²(task) of x", ha="center", va="bottom", fontsize=style.SMALL_PT)
    losses = _losses(route, absence_weight, absence_form, segmentation_loss, beta, presence and presence_weight > 0)
    for left, terms in zip(COLUMN_MM, losses, strict=True):
        axes.text(left, 22.5, "\n".join(terms), fontsize=style.SMALL_PT, va="top", linespacing=1.3)
    axes.text(first, 15.5, "V = Σσ² + ε", fontsize=style.SMALL_PT, va="top")

    for place, name in enumerate(artefacts):
        left = 6 + place * (WIDTH - 12) / len(artefacts)
        axes.plot([left, left + 5], [3, 3], color=colours[name], linewidth=2.5, solid_capstyle="butt")
        axes.text(left + 6.5, 3, name, fontsize=style.SMALL_PT, va="center")
    names = ", ".join(artefacts)
    routed = ": in the likelihood a variance with a pseudo-label is replaced by it" if route == "routed" else ""
    if route == "routed" and absence_weight > 0:
        routed += ", and σ²(k) is pulled to 0 in images without k"
        routed += " by what it would add to the likelihood, D" if absence_form == "divergence" else ""
    differs = ""
    if segmentation_loss == "plain":
        differs += " Its segmentation learns from plain cross-entropy; the one over V is held fixed."
    if beta:
        differs += f" The weight V^{beta:g} of a voxel's likelihood is held fixed too (Seitzer et al. 2022)."
    if presence:
        differs += (
            " p(k): the probability that the patch holds artefact k, told by a perceptron from its roughness and spectra, "
            "which learns from what the simulator put in."
        )
    caption = (
        f"Training in three stages; {style.plural(len(artefacts), 'artefact', 'artefacts')}: {names}. Solid arrows: input. "
        "Dashed arrows: the variance of a frozen network becomes the pseudo-label of the next one's; a teacher's is taken on "
        "the image with only its own artefact, in the same realisation as the student sees. f: logits; σ²: variance; "
        "CE: cross-entropy; ε: a floor that falls during training; L: absolute difference, that of the gradients along the three "
        f"axes, and structural dissimilarity (eq. 7). This run's route is '{route}'{routed}."
        f"{differs}"
    )
    rows = [
        ("1", "task", "clean", "", " ".join(losses[0])),
        *(("2", f"teacher-{name}", f"with {name}", "task", " ".join(losses[1])) for name in artefacts),
        ("3", "student", "with any", " ".join(["task", *artefacts]), " ".join(losses[2])),
    ]
    return Drawing(figure, pd.DataFrame(rows, columns=COLUMNS), caption)


def _losses(
    route: str, absence_weight: float, absence_form: str, segmentation_loss: str, beta: float, learns_presence: bool
) -> tuple[list[str], ...]:
    """Return the terms of each stage's loss (eq. 4, 6 and its form with all causes) as this run has them."""
    likelihood = f"{f'V^{beta:g} ' if beta else ''}(CE / V + ½ log V)"
    fit = f"CE + {likelihood}" if segmentation_loss == "plain" else likelihood
    cost = "D(σ²(k))" if absence_form == "divergence" else "σ²(k)"
    of_absent = f"{cost} where k is absent" if route == "routed" and absence_weight > 0 else ""
    told = ["+ CE of p(k)"] if learns_presence else []
    of_task = [fit, "+ L(σ²(task), task network's)"]
    teacher = [*of_task, *([f"+ {of_absent}"] if of_absent else []), *told]
    student = [*of_task, "+ Σ L(σ²(k), teacher k's)", *([f"+ Σ {of_absent}"] if of_absent else []), *told]
    return [fit], teacher, student


def _box(axes: Axes, left: float, bottom: float, text: str, face: str, edge: str = "#555555") -> None:
    width, height = BOX_MM
    box = FancyBboxPatch(
        (left, bottom), width, height, boxstyle="round,pad=0,rounding_size=1.5", facecolor=face, edgecolor=edge
    )
    box.set_linewidth(1.0)
    axes.add_patch(box)
    axes.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=style.FONT_PT)


def _arrow(axes: Axes, start: tuple, end: tuple, text: str = "", *, frozen: bool = False) -> None:
    style_of_line = "dashed" if frozen else "solid"
    arrow = FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=7, linestyle=style_of_line, color="#333333")
    arrow.set_linewidth(0.8)
    axes.add_patch(arrow)
    axes.text((start[0] + end[0]) / 2, start[1] + 1.5, text, ha="center", va="bottom", fontsize=style.SMALL_PT)
