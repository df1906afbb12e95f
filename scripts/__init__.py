"""What is run by hand or by `make`, from the root of the repository: `python -m scripts.bench.speed`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"  # what the scripts measured, as pages
