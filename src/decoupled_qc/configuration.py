"""Whether a configuration can be used, told in one sentence before any job."""

import difflib
import math
import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from decoupled_qc.errors import InputError

MANUAL = "see config/README.md"


def check_config(config: Mapping, files: Iterable[str | Path], schema: Path) -> None:
    """Check a configuration as it was merged from its files.

    Args:
        config: What they hold together.
        files: YAML or JSON; a key that stands twice in a block of one of them would silently win over the first.
        schema: JSON schema, in YAML.

    Raises:
        InputError: A key is unknown, missing, given twice, or has a value that the schema or arithmetic cannot use.
    """
    for path in files:
        _check_keys(Path(path))
    error = best_match(Draft202012Validator(_read(schema)).iter_errors(config))
    if error is not None:
        raise InputError(_said(error))
    _check_finite(config)


def check_together(config: Mapping) -> None:
    """Check what keys say together, of a configuration that :func:`check_config` let pass.

    Raises:
        InputError: Two keys contradict each other, or one names what another does not hold.
    """
    if config["corruption"]["other_probability"] > 0 and config["training"]["route"] != "routed":
        raise InputError(
            "corruption.other_probability is over 0, but training.route is not 'routed', so a teacher's variance would grow on "
            "other artefacts instead of staying silent: set it to 0 or route the training."
        )
    scans, variants = config["cohort"]["scans"], config["variants"]
    if scans["fetch"] and scans["path"]:
        raise InputError(
            "cohort.scans.path and cohort.scans.fetch are both set: keep path for scans that are here already, with fetch: null, "
            "or fetch for those to be fetched, with path: null."
        )
    for name in config["use_baselines"]:
        _check_baseline(name, config["baselines"].get(name), config["network"], variants)
    apart = ["student", *(name for name, variant in variants.items() if not variant["coupled"])]
    if config["reference"]["network"] not in apart:
        named = config["reference"]["network"]
        raise InputError(
            f"reference.network '{named}' is no network that tells causes apart: use one of {', '.join(apart)}."
        )


def _check_baseline(name: str, baseline: Mapping | None, network: Mapping, variants: Mapping) -> None:
    if baseline is None:
        raise InputError(f"use_baselines names '{name}', but there is no config key baselines.{name}: add it.")
    model = baseline["model"]
    if model not in ["task", "student", *variants]:
        raise InputError(f"baselines.{name}.model '{model}' is no network: name a variant or the student.")
    dropout = {**network, **variants.get(model, {}).get("network", {})}["dropout"]
    if baseline["vary"] == "dropout" and not dropout:
        raise InputError(f"baselines.{name} varies the dropout of '{model}', which has none: give it one.")


@cache
def _read(schema: Path) -> dict:
    return yaml.safe_load(schema.read_text())


class _UniqueKeys(yaml.SafeLoader):
    """Safe YAML whose mappings have each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Return the mapping; raise InputError for the first repeated key."""
        lines = {}
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name != "<<" and name in lines:
                raise InputError(
                    f"{self.name}, line {key.start_mark.line + 1}: key {name} stands in line {lines[name]} already: keep one."
                )
            lines[name] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def _check_keys(path: Path) -> None:
    try:
        with path.open(encoding="utf-8") as file:
            yaml.load(file, _UniqueKeys)
    except InputError:
        raise
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not YAML ({error}): correct it.") from error


def _said(error: ValidationError) -> str:
    """Return what is wrong in one sentence, with the key that was perhaps meant."""
    where = ".".join(map(str, error.absolute_path))
    block = f"Config key {where}" if where else "The config"
    known = list(error.schema.get("properties", ())) if isinstance(error.schema, Mapping) else []
    if error.validator == "additionalProperties" and known:
        unknown = next(key for key in error.instance if key not in known)
        close = difflib.get_close_matches(str(unknown), known, n=1)
        meant = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known)}"
        return f"{block} has the unknown key '{unknown}': {meant} ({MANUAL})"
    return f"{block} cannot be used ({textwrap.shorten(error.message, 200)}): {MANUAL}."


def _check_finite(value: object, key: str = "") -> None:
    """Refuse numbers that are infinite or none, which every bound of a schema lets through."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _check_finite(inner, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_finite(inner, key)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"Config key {key} is {value}: give a finite number.")
