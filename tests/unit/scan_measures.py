"""What is measured on a scan, from which `decoupled-qc predict` judges it."""


def scan(noise=0.02, blur=0.02, **changes):
    """Return what is measured on a scan, by default as on a clean one."""
    total = {"artefact_uncertainty": noise + blur, "uncertainty_noise": noise, "uncertainty_blur": blur}
    rest = {
        "gm_volume_ml": 600.0,
        "volume_scale_ml": 40.0,
        "task_uncertainty": 0.1,
        "snr": 6.0,
        "cnr": 2.0,
        "box_per_gm": 8.0,
    }
    kind = {"head_ml": 3000.0, "head_level": 0.4, "head_spread": 0.2, "grey_level": 0.5, "edge_share": 0.0}
    kind["rim_level"] = 0.6
    return {**total, **rest, **kind, **changes}
