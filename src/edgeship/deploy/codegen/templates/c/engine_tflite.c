#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

#ifndef EDGESHIP_TFLITE_HEADER
#define EDGESHIP_TFLITE_HEADER "tflite_c_api.h"
#endif
#include EDGESHIP_TFLITE_HEADER

struct es_engine {
  const es_contract *contract;
  TfLiteModel *model;
  TfLiteInterpreterOptions *options;
  TfLiteInterpreter *interpreter;
};

static int fits(const es_edge *edge, const TfLiteTensor *tensor) {
  static const TfLiteType types[] = {kTfLiteFloat32, kTfLiteInt8, kTfLiteUInt8, kTfLiteInt16, kTfLiteInt32};
  TfLiteQuantizationParams quantization;
  if (!tensor || TfLiteTensorType(tensor) != types[edge->dtype]) return 0;
  quantization = TfLiteTensorQuantizationParams(tensor);
  return TfLiteTensorByteSize(tensor) == es_edge_bytes(edge) && quantization.scale == edge->scale &&
         quantization.zero_point == edge->zero_point;
}

static int fits_contract(const es_engine *engine) {
  const es_contract *contract = engine->contract;
  int fitting = TfLiteInterpreterGetInputTensorCount(engine->interpreter) == (int32_t)contract->input_count;
  for (size_t i = 0; fitting && i < contract->input_count; i++) {
    const es_edge *edge = &contract->inputs[i].edge;
    fitting = edge->index < TfLiteInterpreterGetInputTensorCount(engine->interpreter) &&
              fits(edge, TfLiteInterpreterGetInputTensor(engine->interpreter, edge->index));
  }
  for (size_t i = 0; fitting && i < contract->output_count; i++) {
    const es_edge *edge = &contract->outputs[i].edge;
    fitting = edge->index < TfLiteInterpreterGetOutputTensorCount(engine->interpreter) &&
              fits(edge, TfLiteInterpreterGetOutputTensor(engine->interpreter, edge->index));
  }
  return fitting;
}

es_engine *es_engine_open(const es_contract *contract, const void *model, size_t size, int threads,
                          const char **problem) {
  es_engine *engine = calloc(1, sizeof *engine);
  *problem = "out of memory";
  if (!engine) return NULL;
  engine->contract = contract;
  engine->model = TfLiteModelCreate(model, size);
  engine->options = TfLiteInterpreterOptionsCreate();
  *problem = "not a TensorFlow Lite model";
  if (engine->model && engine->options) {
    TfLiteInterpreterOptionsSetNumThreads(engine->options, threads);
    engine->interpreter = TfLiteInterpreterCreate(engine->model, engine->options);
    *problem = "this TensorFlow Lite cannot run the model";
  }
  if (engine->interpreter && TfLiteInterpreterAllocateTensors(engine->interpreter) == kTfLiteOk) {
    *problem = "not the model that this client was generated for: its tensors differ";
    if (fits_contract(engine)) return engine;
  }
  es_engine_close(engine);
  return NULL;
}

int es_engine_run(es_engine *engine, const void *const *inputs, void *const *outputs) {
  const es_contract *contract = engine->contract;
  for (size_t i = 0; i < contract->input_count; i++) {
    const es_edge *edge = &contract->inputs[i].edge;
    TfLiteTensor *tensor = TfLiteInterpreterGetInputTensor(engine->interpreter, edge->index);
    if (TfLiteTensorCopyFromBuffer(tensor, inputs[i], es_edge_bytes(edge)) != kTfLiteOk) return 1;
  }
  if (TfLiteInterpreterInvoke(engine->interpreter) != kTfLiteOk) return 1;
  for (size_t i = 0; i < contract->output_count; i++) {
    const es_edge *edge = &contract->outputs[i].edge;
    const TfLiteTensor *tensor = TfLiteInterpreterGetOutputTensor(engine->interpreter, edge->index);
    if (TfLiteTensorCopyToBuffer(tensor, outputs[i], es_edge_bytes(edge)) != kTfLiteOk) return 1;
  }
  return 0;
}

void es_engine_close(es_engine *engine) {
  if (!engine) return;
  if (engine->interpreter) TfLiteInterpreterDelete(engine->interpreter);
  if (engine->options) TfLiteInterpreterOptionsDelete(engine->options);
  if (engine->model) TfLiteModelDelete(engine->model);
  free(engine);
}

const char *es_engine_name(void) {
  static char name[64];
  snprintf(name, sizeof name, "TFLite C %.40s", TfLiteVersion());
  return name;
}
