"""How results lie on disk: atomic writes, the session file, tables, checksums, provenance."""
