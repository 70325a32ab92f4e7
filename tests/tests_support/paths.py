"""Where things lie; not in a `conftest`, of which there are several by that name."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
