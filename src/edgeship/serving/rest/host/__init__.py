"""The server's own process: KServe's Python server with our models in it, in an environment of its own (`../kserve.txt`).

Of edgeship it imports what needs numpy and msgspec and no more; nothing else of edgeship imports it.
"""
