"""What a learner raises."""


class ClientError(ValueError):
    """What the learner was given, or keeps, cannot be used: a sentence that says what to do."""
