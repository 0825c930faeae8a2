"""From prediction maps to scores of a scan."""
