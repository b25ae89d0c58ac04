"""Where tests find data that the project does not ship."""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
