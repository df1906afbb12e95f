"""Where results are kept: the cache, content digests, files that are written whole, installed tools."""
