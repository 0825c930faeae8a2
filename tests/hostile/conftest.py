"""The counts of the cases are written at the end."""

import tally


def pytest_sessionfinish(session):
    tally.write()
