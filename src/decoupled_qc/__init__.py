"""Decoupled uncertainty for MRI segmentation quality: how far can a scan be trusted for a task, and why not."""

__version__ = "0.1.0"
