"""k-space, and the corrupted scans that are made there."""
