"""A module that lies on the machine and that nobody allowed a model to use: importing it, or calling it, leaves a trace."""

import os
from pathlib import Path


def evil(value=None, *rest, **options):
    Path(os.environ["HOSTILE_CANARY"]).write_text("ran")
    return value


class Evil:
    def __init__(self, *rest, **options):
        evil()

    @classmethod
    def from_config(cls, config):
        return cls()


evil()
