"""What the documentation shows is there and works."""

import dataclasses
import re
from fnmatch import fnmatch
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
import yaml
from snakemake.utils import update_config

from decoupled_qc import artefacts, measures
from decoupled_qc.analysis.meaning import direction, of_image
from decoupled_qc.evaluation import scoring
from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.paper import typeset
from decoupled_qc.seeds import rng_for

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "config/README.md", ROOT / "benchmarks/RESULTS.md"]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page):
    for name, anchor in LINK.findall(page.read_text()):
        if "://" in name:
            continue
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {name}"
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), f"{page.name}: {name}#{anchor}"


def python_of_the_readme(word):
    """Return the one block of Python in the README with a word in it."""
    blocks = re.findall(r"```python\n(.*?)\n```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (code,) = (block for block in blocks if word in block)
    return code


def test_the_artefact_of_the_readme_is_one(tmp_path, monkeypatch):
    code = python_of_the_readme("Shading")
    (tmp_path / "shading.py").write_text(code)
    monkeypatch.setattr(artefacts, "FOLDER", tmp_path)
    monkeypatch.setattr(artefacts, "__path__", [str(tmp_path)])
    image, settings = torch.rand((9, 10, 11), generator=torch.Generator().manual_seed(0)) + 0.5, {"loss": [0.0, 0.8]}
    record = artefacts.sample_record("shading", 0.5, image.shape, 1.0, rng_for(0), settings, local_probability=0.0)
    left = (artefacts.load("shading").apply(image, record) / image).movedim(record["axis"], 0).flatten(1)
    assert record["loss"] == pytest.approx(0.4)
    assert torch.allclose(left[[0, -1]], torch.tensor([[1.0], [0.6]]).expand(2, left.shape[1]), atol=1e-5)


def test_the_score_of_the_readme_needs_its_file_alone(tmp_path, monkeypatch):
    """It is scored, with the reason where it is missing, turned by its meaning, and printed under its title."""
    (tmp_path / "skew_gm.py").write_text(python_of_the_readme("Skewness"))
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(tmp_path)])
    measures.available.cache_clear()
    try:
        image = np.random.default_rng(0).random((12, 12, 12), dtype=np.float32) ** 4  # most is dark
        grey = np.ones(image.shape, bool)
        maps = {"task": np.zeros(image.shape, np.float32), "noise": np.zeros(image.shape, np.float32)}
        seen = Evidence(image, np.full(image.shape, 2), grey.astype(np.float32), grey, maps, (1.0, 1.0, 1.0), 1)
        assert dict(scoring._scores(seen))["skew_gm", "predicted"] > 1
        nothing = dataclasses.replace(seen, predicted=~grey)
        missing = dict(scoring._scores(nothing))["skew_gm", "predicted"]
        assert scoring._reason("skew_gm", missing) == "no voxel was called grey matter, or all alike"
        assert direction("skew_gm:predicted") == -1 and of_image("skew_gm:predicted")
        assert typeset.title_of("skew_gm") == "Skewness in GM"
    finally:
        measures.available.cache_clear()


def test_the_configuration_of_the_readme_is_one():
    (overlay,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    for layer in ((ROOT / "config/demo.yaml").read_text(), overlay):
        update_config(config, yaml.safe_load(layer))
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    jsonschema.validate(config, schema)


def leaves(block, path=()):
    """Yield the path of every key that holds a value and no keys of its own."""
    if not isinstance(block, dict) or not block:
        yield path
        return
    for key, below in block.items():
        yield from leaves(below, (*path, key))


def told_keys():
    """Yield (path, row, source) of every key in the first cell of a row of config/README.md; ``*`` stands for any name.

    A key without a dot has the block of the first one in its cell, and the heading may name the block of all of them.
    """
    for section in re.split(r"^## ", (ROOT / "config/README.md").read_text(), flags=re.MULTILINE)[1:]:
        heading = section.split()[0].lower()
        for table in re.findall(r"^\| key \| meaning \| source \|\n.*\n((?:\|.*\n)+)", section, flags=re.MULTILINE):
            for row in table.splitlines():
                first, *_, source = row.split("|")[1:-1]
                names = re.findall("`([^`]+)`", first)
                block = names[0].rpartition(".")[0]
                for name in names:
                    whole = f"{block}.{name}" if block and "." not in name else name
                    path = tuple(re.sub("<.*>", "*", part) for part in whole.split("."))
                    yield from ((path, row, source.strip()), ((heading, *path), row, source.strip()))


def test_every_key_of_the_configuration_is_told_of_with_its_source():
    """In a row of its own, or by its name in that of its block; a role, an artefact or a kind of head is no name to tell of."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    stage = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())["$defs"]["stage"]["properties"]
    keys = [*leaves(config), *(("training", "stages", "teacher", key) for key in stage)]
    assert len(keys) > 180
    told, whose = list(told_keys()), {*config["cohort"]["scans"]["roles"], *config["artefacts"], "task", "artefact"}
    untold = []
    for key in keys:
        rows = [(len(path), *rest) for path, *rest in told if all(map(fnmatch, key, path)) and len(path) <= len(key)]
        depth, row, source = max(rows, default=(0, "", ""))
        named = all(part in whose or re.search(rf"\b{part}\b", row) for part in key[depth:])
        if not (rows and named and source):
            untold.append(".".join(key))
    assert not untold
