"""What a counter raises."""


class ClientError(ValueError):
    """What the counter was given cannot be counted: a sentence that says what to do."""
