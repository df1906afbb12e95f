"""`edgeship deploy`: what brings a judged bundle into an app."""

from __future__ import annotations

import click

from edgeship.cli.command_group import CommandGroup

# In the order of the list; a command is the file of its name beside this one.
SUMMARIES = {
    "codegen": "Write client code that tests itself.",
    "export": "Write a model in the layout of a store.",
    "keygen": "Make the keys that bundles and channels are signed with.",
    "sign": "Sign a bundle, so that nobody else can change it.",
    "selftest": "Compile clients and run their self-tests here.",
}
# Those of an update channel, in a folder of their own.
CHANNEL = {
    "publish": "Publish a bundle as the next version of a channel.",
    "rollout": "Change who gets a channel's version.",
    "pause": "Let no further device take a channel's version.",
    "resume": "Go on with a paused channel.",
    "rollback": "Send all devices back to an older version.",
    "status": "Show channels, versions, and when signatures expire.",
    "refresh": "Sign a channel's metadata anew before it expires (cron).",
    "rotate": "Replace the keys of a role.",
}
DEVICES = {
    "fetch": "Do what a device does: follow a channel.",
    "simulate": "Show what a rollout does, on a simulated fleet.",
}


FILES = {name: (__package__, summary) for name, summary in SUMMARIES.items()}
FILES |= {name: (f"{__package__}.channel", summary) for name, summary in CHANNEL.items()}
FILES |= {name: (__package__, summary) for name, summary in DEVICES.items()}


@click.group(cls=CommandGroup, files=FILES)
def deploy() -> None:
    """Bring a bundle into an app, and its next versions to the devices.

    \b
    Examples:
      edgeship deploy codegen bundle --for c,python --out client
      edgeship deploy publish bundle --channel site/channel --name garments/stable --key keys
    """
