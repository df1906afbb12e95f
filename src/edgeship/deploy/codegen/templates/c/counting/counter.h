/* Counts inferences in the bins of a bundle's profile.json, and writes the report of a window: docs/monitoring/report.md
 * of edgeship. Integers only, nothing of an input or output is kept. When a report is sent, and whether somebody was
 * asked, is the app's to decide. C99, no allocation: the caller lends the memory. One thread at a time. */
#ifndef EDGESHIP_COUNTER_H
#define EDGESHIP_COUNTER_H

#include <stddef.h>
#include <stdint.h>

typedef enum { ES_PROBABILITIES, ES_LOGITS, ES_SCORE, ES_LOGIT } es_scores;

/* Inner edges of bins, ascending. The bin of a value is the number of edges that are not above it. */
typedef struct {
  const double *edges;
  size_t count;
} es_bins;

/* What is counted of a tensor: its first numbers (`columns`), or mean, deviation, low, high and step of one number in
 * `every`. Each has a bin more, the last, for NaN. */
typedef struct {
  const char *name; /* as JSON, with its quotes */
  size_t place;     /* among the contract's inputs or outputs */
  size_t size;      /* numbers */
  const es_bins *descriptors;
  size_t descriptor_count;
  int columns;
  size_t every, stride;
  double low, high;
} es_counted;

/* An output: of classes, or where there are none, of descriptors of its tensor. */
typedef struct {
  es_counted tensor;
  size_t classes;
  es_scores scores;
  double threshold;
  es_bins confidence, margin, entropy;
} es_counted_output;

/* The bins, and of what a report is: sha256 of the bundle's manifest.json, of the artifact's content and of profile.json. */
typedef struct {
  const char *bundle, *artifact, *content, *profile; /* the artifact as JSON */
  es_bins latency;
  const es_counted *inputs;
  size_t input_count;
  const es_counted_output *outputs;
  size_t output_count;
} es_profile;

enum { ES_MOST_CODES = 16, ES_LONGEST_CODE = 32 };

/* Codes of errors, or events: 15 of an app's own; others are counted as `other`. */
typedef struct {
  char names[ES_MOST_CODES][ES_LONGEST_CODE + 1];
  size_t count;
} es_codes;

typedef struct {
  const es_profile *profile;
  uint32_t *cells; /* all histograms and tables, one after the other */
  uint32_t n, switches, fallbacks;
  long before; /* the class that was predicted last; -1: none */
  es_codes errors, events;
} es_counter;

/* What no bundle says. `install`: the pseudonym of the window's month, 32 hexadecimal digits: the first half of
 * HMAC-SHA256(secret of 32 random bytes that stays on the device, "2026-11"), the month being that of the window's
 * Thursday. It is an argument, as C has no HMAC of its own and every platform has one. `sequence` never starts anew.
 * `runtime`: printable ASCII. `tier`: low, mid, high or unknown. `arms`: experiment and arm, in pairs. */
typedef struct {
  const char *window; /* an ISO week in UTC, as 2026-W48 */
  uint32_t sequence;
  const char *install, *runtime, *tier;
  const char *const *arms;
  size_t arm_count;
} es_report;

/* Bytes of memory that a counter needs, and to begin one in such memory, aligned as by malloc. */
size_t es_counter_bytes(const es_profile *profile);
void es_counter_open(es_counter *counter, const es_profile *profile, void *memory);

/* Forget all counts: their report was written. */
void es_counter_clear(es_counter *counter);

/* Count one inference: float32 outputs as es_dequantize, inputs as es_preprocess gives them, in the contract's order;
 * `milliseconds` below 0: not timed. Returns the class that outcomes are about; -1: none, or scores that are not
 * finite, which count as an error. */
long es_count(es_counter *counter, const float *const *outputs, const float *const *inputs, double milliseconds);

/* Count what became of an answer (`accepted`, `corrected`, or a word of the app's own), and an inference without a
 * result, by a code such as `out_of_memory`. Returns 0 where the word (a-z, 0-9, '_') or class can be none. */
int es_count_outcome(es_counter *counter, const char *event, long predicted);
int es_count_error(es_counter *counter, const char *code);

/* Count an answer that something else gave in the model's place. */
void es_count_fallback(es_counter *counter);

/* Write the report as JSON, which ends with a zero. Returns its length, as snprintf does where `capacity` is too small. */
size_t es_write_report(const es_counter *counter, const es_report *report, char *text, size_t capacity);

/* How many cells an output's, or a tensor's counts take, and classes an outcome may have (counter.c). */
size_t es_output_cells(const es_counted_output *output);
size_t es_tensor_cells(const es_counted *tensor);
size_t es_outcome_classes(const es_profile *profile);

#endif
