#include <stdlib.h>
#include <string.h>

#include "engine.h"

#ifndef EDGESHIP_LITERT_HEADER
#define EDGESHIP_LITERT_HEADER "litert_c_api.h"
#endif
#include EDGESHIP_LITERT_HEADER

/* The inputs or outputs of the model in LiteRT's order, which is that of the signature; `places`: where in it each
 * of the contract lies. */
typedef struct {
  LiteRtTensorBuffer *buffers;
  size_t count, *places;
} side;

struct es_engine {
  const es_contract *contract;
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtOptions options;
  LiteRtCompiledModel compiled;
  side in, out;
};

static int fits(const es_edge *edge, LiteRtTensor tensor, LiteRtRankedTensorType *type, int *dynamic) {
  static const LiteRtElementType types[] = {kLiteRtElementTypeFloat32, kLiteRtElementTypeInt8, kLiteRtElementTypeUInt8,
                                            kLiteRtElementTypeInt16, kLiteRtElementTypeInt32};
  LiteRtQuantizationTypeId kind = kLiteRtQuantizationNone;
  LiteRtQuantizationPerTensor quantization = {0, 0};
  size_t size = 1;
  if (LiteRtGetRankedTensorType(tensor, type) || LiteRtGetQuantizationTypeId(tensor, &kind)) return 0;
  if (kind == kLiteRtQuantizationPerTensor && LiteRtGetPerTensorQuantization(tensor, &quantization)) return 0;
  for (unsigned int i = 0; i < type->layout.rank; i++) {
    if (type->layout.dimensions[i] < 0) type->layout.dimensions[i] = 1, *dynamic = 1; /* the batch */
    size *= (size_t)type->layout.dimensions[i];
  }
  return type->element_type == types[edge->dtype] && size == edge->size && quantization.scale == edge->scale &&
         quantization.zero_point == edge->zero_point;
}

/* A buffer for each tensor of one side, all of which the contract names. */
static int connect(es_engine *engine, LiteRtSignature signature, LiteRtSubgraph subgraph, int inputs) {
  const es_contract *contract = engine->contract;
  const size_t wanted = inputs ? contract->input_count : contract->output_count;
  side *s = inputs ? &engine->in : &engine->out;
  if ((inputs ? LiteRtGetNumSignatureInputs : LiteRtGetNumSignatureOutputs)(signature, &s->count)) return 0;
  s->buffers = calloc(s->count + 1, sizeof *s->buffers);
  s->places = calloc(wanted + 1, sizeof *s->places);
  if (!s->buffers || !s->places || s->count != wanted) return 0;
  for (size_t at = 0; at < s->count; at++) {
    LiteRtTensor tensor, other;
    LiteRtRankedTensorType type;
    int dynamic = 0;
    size_t k = 0;
    if ((inputs ? LiteRtGetSignatureInputTensorByIndex : LiteRtGetSignatureOutputTensorByIndex)(signature, at, &tensor))
      return 0;
    for (; k < wanted; k++) { /* the contract counts as the file does */
      const int index = inputs ? contract->inputs[k].edge.index : contract->outputs[k].edge.index;
      if (!(inputs ? LiteRtGetSubgraphInput : LiteRtGetSubgraphOutput)(subgraph, (size_t)index, &other) &&
          other == tensor)
        break;
    }
    if (k == wanted) return 0;
    const es_edge *edge = inputs ? &contract->inputs[k].edge : &contract->outputs[k].edge;
    s->places[k] = at;
    if (!fits(edge, tensor, &type, &dynamic)) return 0;
    if (inputs && dynamic &&
        LiteRtCompiledModelResizeInputTensor(engine->compiled, 0, at, type.layout.dimensions, type.layout.rank))
      return 0;
    if (LiteRtCreateManagedTensorBuffer(engine->environment, kLiteRtTensorBufferTypeHostMemory, &type,
                                        es_edge_bytes(edge), &s->buffers[at]))
      return 0;
  }
  return 1;
}

/* `threads` is not used: LiteRT takes what it finds best. */
es_engine *es_engine_open(const es_contract *contract, const void *model, size_t size, int threads,
                          const char **problem) {
  es_engine *engine = calloc(1, sizeof *engine);
  LiteRtSignature signature;
  LiteRtSubgraph subgraph;
  (void)threads;
  *problem = "out of memory";
  if (!engine) return NULL;
  engine->contract = contract;
  *problem = "not a TensorFlow Lite model";
  if (!LiteRtCreateEnvironment(0, NULL, &engine->environment) &&
      !LiteRtCreateModelFromBuffer(engine->environment, model, size, &engine->model)) {
    *problem = "this LiteRT cannot run the model";
    if (!LiteRtCreateOptions(&engine->options) &&
        !LiteRtSetOptionsHardwareAccelerators(engine->options, kLiteRtHwAcceleratorCpu) &&
        !LiteRtCreateCompiledModel(engine->environment, engine->model, engine->options, &engine->compiled) &&
        !LiteRtGetModelSignature(engine->model, 0, &signature) && !LiteRtGetSignatureSubgraph(signature, &subgraph)) {
      *problem = "not the model that this client was generated for: its tensors differ";
      if (connect(engine, signature, subgraph, 1) && connect(engine, signature, subgraph, 0)) return engine;
    }
  }
  es_engine_close(engine);
  return NULL;
}

static int copy(LiteRtTensorBuffer buffer, void *to, const void *from, size_t bytes) {
  void *memory;
  if (LiteRtLockTensorBuffer(buffer, &memory, to ? kLiteRtTensorBufferLockModeRead : kLiteRtTensorBufferLockModeWrite))
    return 1;
  memcpy(to ? to : memory, from ? from : memory, bytes);
  return LiteRtUnlockTensorBuffer(buffer) != kLiteRtStatusOk;
}

int es_engine_run(es_engine *engine, const void *const *inputs, void *const *outputs) {
  const es_contract *contract = engine->contract;
  const side *in = &engine->in, *out = &engine->out;
  for (size_t i = 0; i < contract->input_count; i++)
    if (copy(in->buffers[in->places[i]], NULL, inputs[i], es_edge_bytes(&contract->inputs[i].edge))) return 1;
  if (LiteRtRunCompiledModel(engine->compiled, 0, in->count, in->buffers, out->count, out->buffers)) return 1;
  for (size_t i = 0; i < contract->output_count; i++)
    if (copy(out->buffers[out->places[i]], outputs[i], NULL, es_edge_bytes(&contract->outputs[i].edge))) return 1;
  return 0;
}

static void release(side *s) {
  for (size_t i = 0; s->buffers && i < s->count; i++)
    if (s->buffers[i]) LiteRtDestroyTensorBuffer(s->buffers[i]);
  free(s->buffers);
  free(s->places);
}

void es_engine_close(es_engine *engine) {
  if (!engine) return;
  release(&engine->in);
  release(&engine->out);
  if (engine->compiled) LiteRtDestroyCompiledModel(engine->compiled);
  if (engine->options) LiteRtDestroyOptions(engine->options);
  if (engine->model) LiteRtDestroyModel(engine->model);
  if (engine->environment) LiteRtDestroyEnvironment(engine->environment);
  free(engine);
}

const char *es_engine_name(void) { return "LiteRT C"; }
