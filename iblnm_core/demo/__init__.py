"""The synthetic cohort, written as a real local ONE cache. Nothing else in the pipeline knows that it exists."""
