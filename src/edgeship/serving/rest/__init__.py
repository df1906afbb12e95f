"""`edgeship serve`: bundles behind the Open Inference Protocol v2, over REST and gRPC.

`selection` says which file of a bundle answers, `process` starts the server and speaks with it, `host` is the server.
"""
