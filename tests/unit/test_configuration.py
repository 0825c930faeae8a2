"""What keys say together is checked before any job, in one sentence."""

import copy

import pytest
from phantom import CONFIG

from decoupled_qc.configuration import check_together
from decoupled_qc.errors import InputError


def changed(**keys):
    config = copy.deepcopy(CONFIG)
    for path, value in keys.items():
        *blocks, key = path.split("__")
        place = config
        for block in blocks:
            place = place[block]
        place[key] = value
    return config


def test_the_default_configuration_agrees_with_itself():
    check_together(CONFIG)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"corruption__other_probability": 0.5, "training__route": "paper"},
            "corruption.other_probability is over 0, but training.route is not 'routed'",
        ),
        (
            {"cohort__scans__path": "/data", "cohort__scans__fetch": {"dataset": "ds000001"}},
            "cohort.scans.path and cohort.scans.fetch are both set",
        ),
        (
            {"use_baselines": ["magic"]},
            "use_baselines names 'magic', but there is no config key baselines.magic: add it",
        ),
        (
            {"use_baselines": ["one"], "baselines__one": {"model": "nobody", "vary": "network"}},
            "baselines.one.model 'nobody' is no network",
        ),
        (
            {"use_baselines": ["one"], "baselines__one": {"model": "student", "vary": "dropout"}},
            "baselines.one varies the dropout of 'student', which has none",
        ),
        ({"reference__network": "task"}, "reference.network 'task' is no network that tells causes apart"),
    ],
)
def test_keys_that_contradict_each_other_are_told(keys, told):
    with pytest.raises(InputError, match=told):
        check_together(changed(**keys))


def test_a_teacher_may_see_other_artefacts_where_the_training_is_routed():
    check_together(changed(corruption__other_probability=0.5, training__route="routed"))
