"""The tables that a paper prints, and what the published ones say."""
