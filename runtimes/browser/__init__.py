"""TF.js, LiteRT.js and ONNX Runtime Web in a real Chromium: a worker like the others that drives a page.

The worker (`__main__`) speaks `edgeship.processes.wire` on standard input; `server` gives the page its files and carries the
binary requests and answers; `page` starts Chromium and tells how it died; `throttle` slows its processor down and
proves that it did; `memory` reads the process that the page lives in; `found` knows what is installed.
"""
