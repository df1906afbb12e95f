"""What the reference computes of pixels and of texts, which clients of every language follow to the byte."""
