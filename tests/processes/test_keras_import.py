import subprocess
import sys

CODE = """
import sys
from edgeship.processes.keras_import import hide_unused

hide_unused()
import keras

assert keras.layers.Dense(2)
print(*sorted({"matplotlib", "sklearn"} & sys.modules.keys()), sep=",")
import matplotlib.pyplot
import sklearn

print(*sorted({"matplotlib", "sklearn"} & sys.modules.keys()), sep=",")
"""


def test_keras_comes_without_what_it_would_import_and_others_get_it():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["", "matplotlib,sklearn"]
