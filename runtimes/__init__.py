"""What executes an artifact: one worker process per measurement, one small file per runtime."""
