"""What makes files of this repository again from their sources."""
