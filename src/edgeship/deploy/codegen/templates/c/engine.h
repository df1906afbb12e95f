/* What runs the model. One file per runtime implements this: engine_tflite.c is TensorFlow Lite's C API,
 * engine_litert.c is LiteRT's. */
#ifndef EDGESHIP_ENGINE_H
#define EDGESHIP_ENGINE_H

#include "edgeship.h"

typedef struct es_engine es_engine;

/* The model in memory, which must stay there. NULL where it is not the model of that contract; `problem` says why. */
es_engine *es_engine_open(const es_contract *contract, const void *model, size_t size, int threads,
                          const char **problem);

/* Bytes of each input and output, in the contract's order. Returns 0 where it worked. */
int es_engine_run(es_engine *engine, const void *const *inputs, void *const *outputs);

void es_engine_close(es_engine *engine);

/* Name and version of the runtime. */
const char *es_engine_name(void);

#endif
