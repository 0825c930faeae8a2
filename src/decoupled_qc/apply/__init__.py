"""A trained model on scans from anywhere: maps in their own grid, a verdict, and how far to believe it."""
