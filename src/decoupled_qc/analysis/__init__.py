"""Statistics of scores.csv: tables in, tables out."""
