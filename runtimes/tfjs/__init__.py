"""TF.js under Node: a worker of its own that speaks the protocol of `edgeship.runtimes.worker`."""
