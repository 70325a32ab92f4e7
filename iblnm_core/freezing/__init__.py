"""Freezes: what the numbers of a paper rest on, kept as it was, and what is different since."""
