"""Files that edgeship did not make, measured and judged as artifacts of unknown origin."""
