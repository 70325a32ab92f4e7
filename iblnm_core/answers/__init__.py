"""Answers about a root: why something is in an analysis, a table or a figure, or not. Nothing here computes science or writes."""
