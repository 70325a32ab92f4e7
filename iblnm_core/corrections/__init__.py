"""Named corrections of photometry traces: masks, baselines, motion, normalisation, diagnostics. Arrays only, no files."""
