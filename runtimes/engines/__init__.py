"""One file per runtime, found by being here: what it takes, whether it is there, how its worker starts, and what runs a model.

A file defines `RUNTIMES`, a tuple of `edgeship.runtimes.runtime.Runtime`. Where the worker is Python, the file is called like
the runtime (`-` as `_`) and has `open_backend()`, which imports the runtime and returns a
`edgeship.runtimes.worker.interface.Backend`. It then goes to other environments and boards, so importing it needs no more than
the standard library, `runtime` and `interface`. Only files of this folder are loaded: no cache key would cover others.
"""
