/* teach HEAD STATE SCRIPT ANSWERS: does what SCRIPT says (tests/deploy/codegen/learning/script.py), a letter with its numbers
 * after the other: a line of JSON for each on standard output, scores and heads as float32 in ANSWERS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learning/head.h"
#include "learning/parts.h"

typedef struct {
  es_learner learner;
  es_head_files files;
  es_engine *engine;
  const char *state;
  void *memory;
  FILE *script, *answers;
} run;

static void *read_file(const char *folder, const char *name, size_t *size) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  char *content = malloc(1 << 24);
  if (!file || !content) exit(2);
  *size = fread(content, 1, 1 << 24, file);
  fclose(file);
  return content;
}

static void read_values(run *r, void *values, size_t size) {
  if (fread(values, 1, size, r->script) != size) exit(3);
}

static void *read_array(run *r, size_t size) {
  void *values = malloc(size + 1);
  if (!values) exit(4);
  read_values(r, values, size);
  return values;
}

static void tell(const run *r, char what, const char *text) {
  printf("{\"what\": \"%c\", \"text\": \"%s\", \"samples\": %zu, \"has_learned\": %d}\n", what, text, r->learner.samples,
         r->learner.has_learned);
}

/* Samples that are features already, until one is refused. */
static void keep(run *r, size_t count) {
  const size_t features = r->learner.head->features, outputs = r->learner.head->outputs;
  float *values = read_array(r, count * (features + outputs) * sizeof(float));
  es_learn_status status = ES_LEARN_OK;
  for (size_t i = 0; !status && i < count; i++)
    status = es_learner_keep(&r->learner, values + i * features, values + count * features + i * outputs);
  free(values);
  tell(r, 'k', es_learn_text(status));
}

/* Tensors of the model's one input, to predict or (with labels after them) to collect. */
static void feed(run *r, char what, size_t count) {
  const size_t size = r->learner.head->base->inputs[0].edge.size, outputs = r->learner.head->outputs;
  float *tensors = read_array(r, count * size * sizeof(float)), *scores = malloc(outputs * sizeof(float));
  uint32_t *labels = what == 'c' ? read_array(r, count * sizeof *labels) : NULL;
  es_learn_status status = ES_LEARN_OK;
  for (size_t i = 0; !status && i < count; i++) {
    const float *const inputs[1] = {tensors + i * size};
    status = labels ? es_learner_collect(&r->learner, inputs, labels[i]) : es_learner_predict(&r->learner, inputs, scores);
    if (!labels && !status) fwrite(scores, sizeof *scores, outputs, r->answers);
  }
  free(labels);
  free(scores);
  free(tensors);
  tell(r, what, es_learn_text(status));
}

static void learn(run *r) {
  double given[5];
  es_learn_result x;
  read_values(r, given, sizeof given);
  const es_learn_settings own = {given[0], (size_t)given[1], (size_t)given[2], (size_t)given[3], given[4]};
  const int kept = es_learn(&r->learner, given[1] > 0 ? &own : NULL, &x);
  printf("{\"what\": \"l\", \"kept\": %d, \"status\": %d, \"text\": \"%s\", \"samples\": %zu, \"held_out\": %zu, \"steps\": %zu, "
         "\"rate\": %.17g, \"share\": %.17g, \"numbers\": [",
         kept, (int)x.status, es_learn_text(x.status), x.samples, x.held_out, x.steps, x.rate, x.share);
  const double numbers[] = {x.loss_before,  x.loss_after,  x.corrected_before, x.corrected_after,
                            x.guard_before, x.guard_after, x.held_out_before,  x.held_out_after};
  for (size_t i = 0; i < 8; i++) {
    if (numbers[i] - numbers[i] == 0)
      printf("%s%.17g", i ? ", " : "", numbers[i]);
    else
      printf("%snull", i ? ", " : "");
  }
  puts("]}");
}

static void open_learner(run *r) {
  const char *problem =
      es_learner_open(&r->learner, &es_head_of_model, r->engine, &r->files, r->state, r->memory);
  tell(r, 'o', problem ? problem : "");
  if (problem) exit(1);
}

int main(int count, char **arguments) {
  run r = {.state = count == 5 ? arguments[2] : ""};
  const es_head *head = &es_head_of_model;
  const char *problem = "";
  size_t size = 0;
  int what;
  if (count != 5) return 2;
  void *base = read_file(arguments[1], "base.tflite", &size);
  r.engine = es_engine_open(head->base, base, size, 1, &problem);
  r.files.shipped = read_file(arguments[1], "shipped.bin", &r.files.shipped_size);
  r.files.replay = read_file(arguments[1], "replay.bin", &r.files.replay_size);
  r.memory = malloc(es_learner_bytes(head));
  r.script = fopen(arguments[3], "rb");
  r.answers = fopen(arguments[4], "wb");
  if (!r.engine || !r.script || !r.answers) return fprintf(stderr, "%s\n", problem), 2;
  open_learner(&r);
  while ((what = fgetc(r.script)) != EOF) {
    uint32_t number;
    read_values(&r, &number, sizeof number);
    if (what == 'k') keep(&r, number);
    if (what == 'c' || what == 'p') feed(&r, (char)what, number);
    if (what == 'l') learn(&r);
    if (what == 'h') fwrite(es_current_head(&r.learner), sizeof(float), es_head_numbers(head), r.answers);
    if (what == 'f') es_learner_forget(&r.learner, (int)number), tell(&r, 'f', "");
    if (what == 'o') open_learner(&r);
  }
  fclose(r.script);
  fclose(r.answers);
  es_engine_close(r.engine);
  free((void *)r.files.shipped);
  free((void *)r.files.replay);
  free(r.memory);
  free(base);
  return 0;
}
