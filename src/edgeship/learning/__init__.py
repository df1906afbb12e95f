"""Learning again: labels from the field, retraining, and what a new model must show before it follows the champion."""
