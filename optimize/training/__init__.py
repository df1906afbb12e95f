"""Fine-tuning: the loop, its data and its losses."""
