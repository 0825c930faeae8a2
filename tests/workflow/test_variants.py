"""Variants and replicates of the student are made from configuration alone, and only when asked for."""


def test_a_variant_or_a_replicate_is_made_from_the_networks_it_learns_from(bare_project):
    """Each in a replicate of its own, so that one plan tells them apart."""
    teachers = {"teacher-noise", "teacher-blur"}
    expected = {
        "gated": {"task"},
        "coupled": {"task"},
        "no-consistency": {"task"},
        "no-ssim": {"task"} | teachers,
        "scratch": {"task"} | teachers,
        "student": {"task"} | teachers,
    }
    targets = [f"results/smoke/models/{model}/rep-{number}" for number, model in enumerate(expected)]
    printed = bare_project.snakemake("--summary", "--configfile", "config/smoke.yaml", "--", *targets)
    outputs = [line.split("\t")[0] for line in printed.splitlines()]
    for number, (model, donors) in enumerate(expected.items()):
        made = {path.split("/")[3] for path in outputs if path.endswith(f"/rep-{number}")}
        assert made == donors | {model}
