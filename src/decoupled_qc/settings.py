"""The simulators' default settings, for use without the benchmark: those of its configuration."""

from collections.abc import Mapping
from pathlib import Path

import torch
import yaml

from decoupled_qc import artefacts
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for

TRIAL_VOXELS = 12
PAIR = 2  # a setting at severity 0 and 1, or the ends of a range
DEFAULTS = Path(__file__).parent / "config.yaml"


def artefact_settings(overlay: Path | None = None) -> dict[str, dict]:
    """Return artefact → settings, as in the configuration, single keys replaced by an overlay's.

    Args:
        overlay: YAML file with a block ``artefacts``; what else it holds does not matter here.

    Raises:
        InputError: The overlay cannot be read, has no such block, or names an artefact that there is not.
    """
    settings = yaml.safe_load(DEFAULTS.read_text())["artefacts"]
    if overlay is None:
        return settings
    try:
        blocks = yaml.safe_load(overlay.read_text())["artefacts"]
        merged = {name: settings.get(name, {}) | block for name, block in blocks.items()}
    except (OSError, ValueError, RecursionError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{overlay} has no readable block 'artefacts' ({error}): see config/README.md.") from error
    for name in blocks:
        artefacts.module_path(name)
    return settings | merged


def try_settings(artefact: str, settings: dict) -> None:
    """Check that an artefact can be made with its settings, on a small volume at the ends of the severity.

    Args:
        artefact: Its name.
        settings: Its config block.

    Raises:
        InputError: It cannot, its voxels are not finite, or a setting is of another kind than the default, such as one number
            for a pair; the message names the block.
    """
    for key, usual in artefact_settings().get(artefact, {}).items():
        if key in settings and not _alike(settings[key], usual):
            raise InputError(f"Config key artefacts.{artefact}.{key} is {settings[key]}: give it like {usual}.")
    image = torch.linspace(0, 1, TRIAL_VOXELS**3).reshape((TRIAL_VOXELS,) * 3)
    for severity in (1e-3, 1.0):
        record = artefacts.sample_record(
            artefact, severity, image.shape, 1.0, rng_for(0, artefact), settings, local_probability=0.0
        )
        try:
            finite = bool(artefacts.corrupt(image, [record]).isfinite().all())
        except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise InputError(
                f"Config block artefacts.{artefact} cannot be used ({error}): see config/README.md."
            ) from error
        if not finite:
            raise InputError(
                f"Config block artefacts.{artefact} makes endless voxels at severity {severity}: see config/README.md."
            )


def _alike(value: object, usual: object) -> bool:
    """Say whether a setting is of the kind of the usual one: text, a number, a pair, or a list of up to as many."""
    if isinstance(usual, list):
        lengths = (len(usual),) if len(usual) == PAIR else range(1, len(usual) + 1)
        return isinstance(value, list) and len(value) in lengths and all(_alike(each, usual[0]) for each in value)
    if isinstance(usual, str):
        return isinstance(value, str)
    return isinstance(value, int | float) and not isinstance(value, bool)


def settings_of(artefact: str, changes: Mapping | None = None) -> dict:
    """Return an artefact's default settings with some of them changed.

    Args:
        artefact: Its name.
        changes: Single keys of its block.

    Raises:
        InputError: There is no such artefact or setting.
    """
    artefacts.module_path(artefact)
    settings = artefact_settings().get(artefact, {}) | dict(changes or {})
    artefacts.check_settings(artefact, settings)
    return settings
