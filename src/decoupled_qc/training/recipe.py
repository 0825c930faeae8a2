"""How a network is optimised."""

from dataclasses import dataclass

from decoupled_qc.training.ladder import Ladder

# Keys of the config's training block that change no weight: how a training is watched, kept and given up.
WATCHING = ("checkpoint_minutes", "diagnostics", "log_every", "look_every", "max_skipped")


@dataclass(frozen=True)
class Recipe:
    """How a network is optimised; see ``config/README.md`` for each value's source.

    Args:
        steps: Optimiser steps.
        forward_batch_size: Patches per forward pass; the gradients of a batch's passes, on all processes, are averaged.
        plain_steps: First steps with plain cross-entropy; the variance learns from it, but does not weigh it yet.
        learning_rate: Of Adam at the start.
        head_learning_rate_factor: Of the variance heads, relative to ``learning_rate``.
        presence_learning_rate_factor: Of what tells which artefacts are there, relative to ``learning_rate``.
        adam_beta2: Share of its mean of squared gradients that Adam keeps each step, [0, 1).
        clip_norm: Largest gradient norm.
        average_decay: The trained network has an exponential moving average of the weights, of which each step keeps this
            share, [0, 1); 0, the paper, leaves it with the last step's.
        epsilon, halvings, ladder, patience: See :class:`decoupled_qc.training.ladder.Ladder`; the waiting times, ``patience``
            among them, are fractions of the steps after ``plain_steps``, from which on the ladder counts.
        ssim_weight, ssim_form: See :func:`decoupled_qc.training.losses.consistency`.
        consistency_weight: Of eq. 7 and of what absent artefacts' variances cost, together; 1 in the paper.
        absence_weight: Of what an artefact's variance costs in samples without it, when routed; times ``consistency_weight``.
        absence_form: What it costs: ``mean``, the mean variance; or ``divergence``, see
            :func:`decoupled_qc.training.losses.absence_divergence`, whose natural weight is 1.
        presence_weight: Of the cross-entropy of the artefacts that a sample is told to hold, where the network tells it.
        route: ``paper``, or ``routed``: in the likelihood a variance that has a pseudo-label is replaced by it and learns
            from the consistency alone, as otherwise the task's share grows to hold the artefact's; an artefact's variance
            is left out, and pulled to zero, in samples without the artefact, about which its teacher is not asked.
        segmentation_loss: ``attenuated``, the paper's eq. 4, or ``plain``: the segmentation learns from plain cross-entropy and
            the variance alone from eq. 4, since voxels of damaged scans where the variance is small but the segmentation wrong
            may outweigh all others.
        teacher_input: What a frozen teacher sees: ``single_artefact``, the patch with its own alone, or ``student_input``, all.
        beta: See :func:`decoupled_qc.training.losses.attenuated_cross_entropy`; 0 in the paper.
        precision: Of the forward passes, see :func:`decoupled_qc.precision.autocast`; the losses are in float32.
        compile: Whether PyTorch compiles the network in training, see :func:`decoupled_qc.training.compilation.compile_in_place`.
        max_skipped: Steps in a row that may be skipped because the loss or a gradient is not finite.
        log_every: Steps between rows of ``metrics.csv``.
        look_every: Between two looks at held-out patches, as a fraction of ``steps``.
    """

    steps: int
    forward_batch_size: int
    plain_steps: int
    learning_rate: float
    head_learning_rate_factor: float
    presence_learning_rate_factor: float
    adam_beta2: float
    clip_norm: float
    average_decay: float
    epsilon: float
    halvings: int
    ladder: dict[str, float]
    patience: float
    ssim_weight: float
    ssim_form: str
    consistency_weight: float
    absence_weight: float
    absence_form: str
    presence_weight: float
    route: str
    segmentation_loss: str
    teacher_input: str
    beta: float
    precision: str
    compile: bool
    max_skipped: int
    log_every: int
    look_every: float

    def start_ladder(self) -> Ladder:
        """Return a ladder with its waiting times in steps, counted from the first with a variance."""
        fractions, steps = self.ladder, self.steps - self.plain_steps
        return Ladder(
            epsilon=self.epsilon,
            learning_rate=self.learning_rate,
            halvings=self.halvings,
            smoothing=fractions["smoothing"],
            min_improvement=fractions["min_improvement"],
            patience=max(1, round(self.patience * steps)),
            **{key: max(1, round(fractions[key] * steps)) for key in ("check_every", "min_interval", "finish_by")},
        )
