"""The command line as a whole."""

import subprocess
import sys


def test_help_and_the_statistics_alone_import_no_network_library():
    """Seconds at every call, and what a laptop for statistics need not have."""
    for call in ("['--help']", "['correlate', '--help']", "['status', '--help']"):
        script = f"from decoupled_qc import cli\nimport sys\ntry: cli.main({call})\nexcept SystemExit: pass\n"
        script += "print(sorted({'torch', 'monai', 'torchio'} & set(sys.modules)))"
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert "usage: decoupled-qc" in told and told.endswith("[]\n")
