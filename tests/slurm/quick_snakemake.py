"""Snakemake that asks SLURM every three seconds how its jobs do, where the executor waits ten seconds longer each time in vain.

Jobs here take seconds; on a cluster of others it would be a burden.
"""

import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

SECONDS = 3

RemoteExecutor.next_seconds_between_status_checks = property(lambda _executor: SECONDS, lambda _executor, _longer: None)
sys.exit(main())
