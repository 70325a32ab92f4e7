"""Pages that open from disk: reports of single sessions and of the cohort, made of stored results only."""
