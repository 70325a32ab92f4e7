"""The orchestration: assets, checks, IO managers, automation, command line. No formula, threshold or file layout."""
