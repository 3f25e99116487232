"""What several tests share."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"
NANO = ROOT / "models/nano/base"
