"""Imports tensorflowjs where it is installed: for a process that has time before it is asked to convert."""

from importlib.util import find_spec

from edgeship.convert.tfjs import shim

if find_spec("tensorflowjs"):  # installing it is for the process that knows the way to the network
    shim.ensure_importable()
