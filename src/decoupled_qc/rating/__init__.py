"""What people say of scans and segmentations."""
