"""What measures edgeship itself, and writes the pages of figures in docs/."""
