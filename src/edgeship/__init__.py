"""Take a Keras model from the server to the device, and prove on the way that it is still the same model."""

import sys

__version__ = "0.1.0"

# `python -m edgeship.cli` puts the working folder first on the path, where a stranger's model may lie beside a `numpy.py`;
# the command `edgeship` does not. While runpy looks for a module, argv[0] is "-m".
if sys.argv[:1] == ["-m"] and "edgeship.cli" in sys.orig_argv and not sys.flags.safe_path:
    del sys.path[0]
