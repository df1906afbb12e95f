"""Broken artifacts made from good ones, judged as `edgeship benchmark` and `edgeship gate` would judge them."""
