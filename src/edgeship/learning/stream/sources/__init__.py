"""Where a stream's rows come from: files and folders that grow, tables by a watermark, Redis Streams."""
