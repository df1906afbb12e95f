/* The self-test: does this client, on this device, compute what it computed when the model was shipped? */
#ifndef EDGESHIP_SELFTEST_H
#define EDGESHIP_SELFTEST_H

#include <stdio.h>

#include "edgeship.h"

/* Replay every golden in the folder `goldens` through the model's file and write the result as JSON, which
 * `edgeship report --add` takes. Returns 1 where all passed, else 0. `device`: its name in the report. */
int es_selftest(const es_contract *contract, const char *model, const char *goldens, const char *device, FILE *out);

#endif
