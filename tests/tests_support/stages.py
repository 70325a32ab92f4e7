"""Stages of a run whose test is not about the cohort: its analyses and figures would take most of the time."""

SESSION_STAGES = ("query_database", "photometry", "task", "wheel", "video")
"""What a session goes through; the tables of sessions are collected in any case."""

ONLY_SESSIONS = tuple(word for stage in SESSION_STAGES for word in ("--only", stage))
"""The same as words of the command line."""
