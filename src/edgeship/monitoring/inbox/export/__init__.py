"""An inbox in forms that other software reads."""
