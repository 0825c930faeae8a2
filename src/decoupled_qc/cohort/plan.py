"""Which heads a run uses and for what, checked before any job starts."""

from collections.abc import Mapping
from pathlib import Path

from decoupled_qc.cohort.absence import absence
from decoupled_qc.cohort.manifest import ROLES
from decoupled_qc.errors import InputError


def anatomies_in_use(anatomies: Mapping[str, Mapping]) -> list[str]:
    """Return the anatomies that give any subject.

    Args:
        anatomies: name → number of subjects by role (train, validation, test), and whether the head is optional.

    Raises:
        InputError: An anatomy gives test subjects and others; a test anatomy is optional, which could leave nothing to
            test on; or a role is left without an anatomy that is sure to be there.
    """
    for name, block in anatomies.items():
        if block["test"] and (block["train"] or block["validation"]):
            raise InputError(
                f"Config key cohort.anatomies.{name} gives test subjects and training or validation subjects, so the "
                "test would repeat a head seen in training: give it one of the two."
            )
        if block["test"] and block["optional"]:
            raise InputError(
                f"Config key cohort.anatomies.{name} is optional and gives test subjects: make it required."
            )
    for role in ROLES:
        if not any(block[role] and not block["optional"] for block in anatomies.values()):
            raise InputError(f"Config key cohort.anatomies gives no {role} subject for sure: give a required one some.")
    return [name for name, block in anatomies.items() if any(numbers_of_subjects(block).values())]


def check_heads(anatomies: Mapping[str, Mapping], heads: Path) -> None:
    """Check that no head which a run cannot do without was given up by an earlier run that could.

    Args:
        anatomies: As for :func:`anatomies_in_use`.
        heads: Folder of fetched heads, one folder each, which all runs share.

    Raises:
        InputError: A head is not there, and the run has it neither optional nor without subjects.
    """
    for name, block in anatomies.items():
        if any(numbers_of_subjects(block).values()) and not block["optional"] and absence(heads / name) is not None:
            raise InputError(
                f"{heads / name} could not be fetched by an earlier run, which did without it, and config key "
                f"cohort.anatomies.{name}.optional is false: remove that folder and run again, or make it optional."
            )


def numbers_of_subjects(anatomy: Mapping) -> dict[str, int]:
    """Return role → number of subjects of one anatomy's block."""
    return {role: anatomy[role] for role in ROLES}
