/* counts FILE: the report of the samples in FILE (test_counting.py); and that codes and too little room do no harm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

static int read_tensor(FILE *file, float *values, size_t size) { return fread(values, sizeof *values, size, file) == size; }

static int read_sample(FILE *file, const es_profile *profile, float **outputs, float **inputs, double *milliseconds) {
  int whole = 1;
  for (size_t i = 0; i < profile->output_count; i++)
    whole = whole && read_tensor(file, outputs[profile->outputs[i].tensor.place], profile->outputs[i].tensor.size);
  for (size_t i = 0; i < profile->input_count; i++)
    whole = whole && read_tensor(file, inputs[profile->inputs[i].place], profile->inputs[i].size);
  return whole && fread(milliseconds, sizeof *milliseconds, 1, file) == 1;
}

/* Fifteen codes of an app's own, then `other`; words that are none; reports that are cut. */
static int has_limits(es_counter *counter, const es_report *report) {
  char code[] = "code_a", cut[40], *whole;
  for (; code[5] < 'z'; code[5]++)
    if (!es_count_error(counter, code)) return 0;
  if (es_count_error(counter, "No") || es_count_error(counter, "") || es_count_error(counter, "_a")) return 0;
  if (es_count_error(counter, "a_word_that_is_longer_than_32_is_none")) return 0;
  if (es_count_outcome(counter, "accepted", 1 << 30)) return 0;
  const size_t length = es_write_report(counter, report, NULL, 0);
  if (es_write_report(counter, report, cut, sizeof cut) != length || strlen(cut) != sizeof cut - 1) return 0;
  if (!(whole = malloc(length + 1))) return 0;
  es_write_report(counter, report, whole, length + 1);
  const int right = strlen(whole) == length && strstr(whole, "\"code_o\":1,\"other\":10}") != NULL;
  free(whole);
  return right;
}

int main(int count, char **arguments) {
  const es_profile *profile = &es_profile_of_model;
  const es_report report = {"2026-W48", 0, "00000000000000000000000000000000", "C", "mid", NULL, 0};
  float *outputs[16], *inputs[16];
  double milliseconds;
  es_counter counter;
  FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
  void *memory = malloc(es_counter_bytes(profile));
  if (!file || !memory) return 2;
  for (size_t i = 0; i < profile->output_count; i++)
    outputs[profile->outputs[i].tensor.place] = malloc(profile->outputs[i].tensor.size * sizeof(float));
  for (size_t i = 0; i < profile->input_count; i++)
    inputs[profile->inputs[i].place] = malloc(profile->inputs[i].size * sizeof(float));
  es_counter_open(&counter, profile, memory);
  while (read_sample(file, profile, outputs, inputs, &milliseconds))
    es_count(&counter, (const float *const *)outputs, (const float *const *)inputs, milliseconds);
  const size_t length = es_write_report(&counter, &report, NULL, 0);
  char *text = malloc(length + 1);
  if (!text) return 2;
  es_write_report(&counter, &report, text, length + 1);
  puts(text);
  es_counter_clear(&counter);
  const int right = has_limits(&counter, &report);
  for (size_t i = 0; i < profile->output_count; i++) free(outputs[i]);
  for (size_t i = 0; i < profile->input_count; i++) free(inputs[i]);
  free(text);
  free(memory);
  fclose(file);
  return right ? 0 : 1;
}
