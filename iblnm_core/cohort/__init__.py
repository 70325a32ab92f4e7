"""Many sessions: catalogue, collected tables, status."""
