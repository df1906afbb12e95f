"""The command line: one file per command. Only click and the standard library are imported before a command runs."""

from __future__ import annotations

import gc
import io
import sys

import click

from edgeship import __version__
from edgeship.cli.command_group import CommandGroup
from edgeship.errors import CANNOT_WRITE, NO_PATH, EdgeshipError
from edgeship.untrusted import SHOWN, printable_lines

LONGEST = 4000  # characters of an error
# Objects between collections of garbage: imports make them by the hundred thousand, and none of them is garbage.
COLLECT_AT = (200_000, 20, 20)
# Where each command is, and what the list of commands says of it: none of their files is read for that list.
COMMANDS = {
    "train": ("models", "Train the server model of a built-in task."),
    "data": ("models", "Look at your own data before anything is learned from it."),
    "init": ("models", "Write a commented edgeship.toml for a model."),
    "optimize": ("models", "Prune, cluster, distil or quantization-aware-train a Keras model."),
    "convert": ("models", "Convert a Keras model to TFLite, ONNX and TF.js."),
    "benchmark": ("bundles", "Measure a bundle, or files of any maker, against the server model."),
    "gate": ("bundles", "Judge a measured bundle, or files of any maker, by a budget."),
    "ship": ("models", "Convert, benchmark, gate and report in one go."),
    "lock": ("models", "Write down what a bundle was made of, to make it again."),
    "rebuild": ("models", "Make the artifacts of a lock again, and compare their bytes."),
    "verify": ("bundles", "Check a bundle's digests and replay its goldens."),
    "inspect": ("bundles", "Show what a model file really holds."),
    "debug": ("bundles", "Show which layers cost an int8 model its accuracy."),
    "report": ("bundles", "Write the HTML report of a bundle again."),
    "demo": ("bundles", "Open a bundle's TF.js model in the browser."),
    "teach": ("bundles", "Teach a bundle's last layer from corrected answers, as a device does."),
    "serve": ("serving", "Answer for bundles over REST and gRPC (Open Inference Protocol v2)."),
    "deploy": ("deploy", "Bring a bundle into an app: client code that tests itself."),
    "registry": ("registry", "Keep versions of bundles: compare, promote and roll back."),
    "monitor": ("monitoring", "Collect what clients report of models that have shipped."),
    "experiment": ("monitoring", "Find out which of two versions is better with users."),
    "retrain": ("learning", "Train the champion again on new labels, and judge what comes of it."),
    "stream": ("learning", "Answer rows as they come, learn them by the interval, and judge each version."),
    "select": ("learning", "Choose which samples are worth a label, and which judge."),
    "label": ("learning", "Label samples on a page, by keyboard; check the labels."),
    "bom": ("bundles", "Write a bundle's bill of materials (CycloneDX ML-BOM)."),
    "predict": ("serving", "Predict the rows of files or a database in batches, each row once."),
    "worth": ("serving", "Decide whether a model should run on the device or on a server."),
    "trust": ("machine", "Let an edgeship.toml that lies beside a model allow code to run."),
    "runtimes": ("machine", "Which runtimes are here, and how to get the others."),
    "devices": ("machine", "Where artifacts can be run, and how to set a device up."),
    "doctor": ("machine", "Show what is installed, what is missing, and what to do."),
}


@click.group(
    cls=CommandGroup,
    files={name: (f"edgeship.cli.{room}", summary) for name, (room, summary) in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__)
def cli() -> None:
    """Take a Keras model to the device, and prove on the way that it is still the same model.

    \b
    edgeship train fashion-mnist --out runs/fashion-mnist
    edgeship ship runs/fashion-mnist/server.keras --out runs/fashion-mnist/bundle
    """


def main() -> None:
    """Run the command line; every expected failure is one or two lines and an exit code (0 passed, 1 failed, 2 bad input)."""
    gc.set_threshold(*COLLECT_AT)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a pipe on Windows lacks most letters; standard error does it
    try:
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        message = io.StringIO()
        error.show(message)  # with names of files and folders that somebody else gave
        click.echo(printable_lines(message.getvalue()), nl=False, err=True)
        sys.exit(error.exit_code)
    except EdgeshipError as error:
        exit_with_error(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        exit_with_error("interrupted; nothing was changed", 130)
    except OSError as error:
        if error.errno not in (*CANNOT_WRITE, *NO_PATH):
            raise
        exit_with_error(f"{str(error.filename or 'output')[:SHOWN]}: {error.strerror}; nothing was changed", 2)


def exit_with_error(message: str, code: int) -> None:
    """Foreign text may be in a message: nothing in it steers the terminal, and only its own line ends are kept."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {printable_lines(message)[:LONGEST]}", err=True)
    sys.exit(code)
