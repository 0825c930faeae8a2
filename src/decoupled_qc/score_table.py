"""What ``scores.csv`` holds: one value a row."""

COLUMNS = (
    "subject",
    "scan",
    "model",
    "replicate",
    "condition",
    "artefact",
    "severity",
    "metric",
    "aggregation",
    "value",
)
TARGETS = ("dice", "rating")
OF_SEGMENTATION = ("hausdorff_95_mm", "surface_dice", "calibration_error", "brier", "log_loss_nats", "error_overlap")
NOT_SCORES = (
    *TARGETS,
    *OF_SEGMENTATION,  # told against the reference, as Dice is
    "volume_ml",
    "reference_volume_ml",
    "volume_variance_ml",
    "volume_sd_ml",
    "share_inside",
)
