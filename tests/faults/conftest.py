"""Faults that take minutes are tried by ``make test-faults`` only."""

import pytest


def pytest_collection_modifyitems(config, items):
    if "faults" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("faults"):
                item.add_marker(pytest.mark.skip(reason="minutes of a whole chain: make test-faults"))
