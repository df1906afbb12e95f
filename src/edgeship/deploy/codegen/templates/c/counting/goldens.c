#include "goldens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

typedef struct {
  const es_contract *contract;
  const char *folder;
  float **outputs, **inputs;
  es_counter counter;
} run;

static int read_floats(const run *r, const char *golden, const char *tensor, const char *end, float *values, size_t count) {
  char path[1024];
  FILE *file = NULL;
  if (snprintf(path, sizeof path, "%s/%s.%s.%s", r->folder, golden, tensor, end) < (int)sizeof path) file = fopen(path, "rb");
  const size_t found = file ? fread(values, sizeof *values, count, file) : 0;
  if (file) fclose(file);
  return file && found == count;
}

/* The tensors of a golden, and what the artifact made of them. */
static int read_golden(run *r, size_t number) {
  const es_contract *contract = r->contract;
  const char *name = contract->cases[number].name;
  char suffix[256];
  int whole = 1;
  snprintf(suffix, sizeof suffix, "%s", contract->artifact);
  for (char *at = suffix; *at; at++)
    if (*at == '/') *at = '-';
  for (size_t i = 0; i < contract->output_count; i++)
    whole &= read_floats(r, name, contract->outputs[i].name, suffix, r->outputs[i], contract->outputs[i].edge.size);
  for (size_t i = 0; i < contract->input_count; i++)
    whole &= read_floats(r, name, contract->inputs[i].name, "tensor", r->inputs[i], contract->inputs[i].edge.size);
  return whole;
}

static long count(run *r, double milliseconds) {
  return es_count(&r->counter, (const float *const *)r->outputs, (const float *const *)r->inputs, milliseconds);
}

/* All goldens with 0.75, 1.5, ... milliseconds but each third, an outcome of each; then the first with NaN in each
 * output, and in each input; an error and a fallback. */
static int count_goldens(run *r) {
  for (size_t k = 0; k < r->contract->case_count; k++) {
    if (!read_golden(r, k)) return 0;
    const long predicted = count(r, k % 3 == 2 ? -1 : 0.75 * (double)(k + 1));
    es_count_outcome(&r->counter, k % 2 ? "corrected" : "accepted", predicted);
  }
  if (!read_golden(r, 0)) return 0;
  for (size_t i = 0; i < r->contract->output_count; i++) r->outputs[i][0] = NAN;
  count(r, -1);
  if (!read_golden(r, 0)) return 0;
  for (size_t i = 0; i < r->contract->input_count; i++) r->inputs[i][0] = NAN;
  count(r, -1);
  es_count_error(&r->counter, "out_of_memory");
  es_count_fallback(&r->counter);
  return 1;
}

static int is_golden_report(const run *r) {
  static const char *const arms[] = {"exp-7", "b"};
  const es_report report = {"2026-W48", 3,    "5d0c5d0c5d0c5d0c5d0c5d0c5d0c5d0c", "a \"runtime\" \\ 1", "mid",
                            arms,       1};
  const size_t length = es_write_report(&r->counter, &report, NULL, 0);
  char path[1024], *text = malloc(length + 2), *wanted = malloc(length + 2);
  FILE *file = NULL;
  int same = 0;
  if (snprintf(path, sizeof path, "%s/report.json", r->folder) < (int)sizeof path) file = fopen(path, "rb");
  if (file && text && wanted) {
    es_write_report(&r->counter, &report, text, length + 1);
    text[length] = '\n';
    same = fread(wanted, 1, length + 2, file) == length + 1 && !memcmp(text, wanted, length + 1);
  }
  if (file) fclose(file);
  free(text);
  free(wanted);
  return same;
}

static float **reserve(size_t count) { return calloc(count + 1, sizeof(float *)); }

static void release(float **tensors) {
  for (size_t i = 0; tensors && tensors[i]; i++) free(tensors[i]);
  free(tensors);
}

int es_check_counts(const es_contract *contract, const char *goldens) {
  run r = {contract, goldens, reserve(contract->output_count), reserve(contract->input_count), {0}};
  void *memory = malloc(es_counter_bytes(&es_profile_of_model));
  int whole = memory && r.outputs && r.inputs;
  for (size_t i = 0; whole && i < contract->output_count; i++)
    whole = (r.outputs[i] = malloc(contract->outputs[i].edge.size * sizeof(float))) != NULL;
  for (size_t i = 0; whole && i < contract->input_count; i++)
    whole = (r.inputs[i] = malloc(contract->inputs[i].edge.size * sizeof(float))) != NULL;
  if (whole) {
    es_counter_open(&r.counter, &es_profile_of_model, memory);
    whole = count_goldens(&r) && is_golden_report(&r);
  }
  release(r.outputs);
  release(r.inputs);
  free(memory);
  return whole;
}
