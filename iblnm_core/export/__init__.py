"""Session data in the formats of other programs, made from what is stored; no result is computed here that the pipeline does not have."""
