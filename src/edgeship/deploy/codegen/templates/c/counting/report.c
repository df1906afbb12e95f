#include <stdio.h>

#include "counter.h"

typedef struct {
  char *text;
  size_t capacity, length;
} writer;

static void put(writer *w, const char *text) {
  for (; *text; text++, w->length++)
    if (w->length + 1 < w->capacity) w->text[w->length] = *text;
}

/* A number behind `before`. */
static void put_number(writer *w, const char *before, size_t number) {
  char digits[24];
  snprintf(digits, sizeof digits, "%lu", (unsigned long)number);
  put(w, before);
  put(w, digits);
}

static void put_text(writer *w, const char *before, const char *text) {
  char escaped[] = {'\\', 0, 0};
  put(w, before);
  put(w, "\"");
  for (; *text; text++) {
    escaped[1] = *text;
    put(w, *text == '"' || *text == '\\' ? escaped : escaped + 1);
  }
  put(w, "\"");
}

static void put_list(writer *w, const char *before, const uint32_t *cells, size_t count) {
  put(w, before);
  put(w, "[");
  for (size_t i = 0; i < count; i++) put_number(w, i ? "," : "", cells[i]);
  put(w, "]");
}

/* Cells that have a count, each but the first as the difference to the one before, and their counts. */
static void put_pairs(writer *w, const char *before, const uint32_t *cells, size_t count) {
  size_t last = 0;
  int any = 0;
  put(w, before);
  put(w, "[");
  for (size_t i = 0; i < count; i++) {
    if (!cells[i]) continue;
    put_number(w, any++ ? "," : "", i - last);
    last = i;
    put_number(w, ",", cells[i]);
  }
  put(w, "]");
}

static void put_histograms(writer *w, const es_counted *tensor, const uint32_t *cells) {
  put(w, "[");
  for (size_t i = 0; i < tensor->descriptor_count; i++) {
    put_list(w, i ? "," : "", cells, tensor->descriptors[i].count + 2);
    cells += tensor->descriptors[i].count + 2;
  }
  put(w, "]");
}

static void put_output(writer *w, const es_counted_output *output, const uint32_t *cells) {
  const size_t joint = output->classes * (output->confidence.count + 1), margins = output->margin.count + 1;
  put(w, output->tensor.name);
  if (output->classes) {
    put_pairs(w, ":{\"kind\":\"classes\",\"joint\":", cells, joint);
    put_list(w, ",\"margin\":", cells + joint, margins);
    put_list(w, ",\"entropy\":", cells + joint + margins, output->entropy.count + 1);
  } else {
    put(w, ":{\"kind\":\"values\",\"values\":");
    put_histograms(w, &output->tensor, cells);
  }
  put(w, "}");
}

static void put_head(writer *w, const es_profile *profile, const es_report *report) {
  put_text(w, "{\"schema\":2,\"window\":", report->window);
  put_number(w, ",\"sequence\":", report->sequence);
  put_text(w, ",\"install\":", report->install);
  put_text(w, ",\"bundle\":", profile->bundle);
  put(w, ",\"artifact\":");
  put(w, profile->artifact);
  put_text(w, ",\"content\":", profile->content);
  put_text(w, ",\"profile\":", profile->profile);
  put(w, ",\"arms\":{");
  for (size_t i = 0; i < report->arm_count; i++) {
    put_text(w, i ? "," : "", report->arms[2 * i]);
    put_text(w, ":", report->arms[2 * i + 1]);
  }
  put_text(w, "},\"runtime\":", report->runtime);
  put_text(w, ",\"tier\":", report->tier);
}

size_t es_write_report(const es_counter *counter, const es_report *report, char *text, size_t capacity) {
  const es_profile *profile = counter->profile;
  const size_t classes = es_outcome_classes(profile);
  const uint32_t *cells = counter->cells;
  writer w = {text, capacity, 0};
  put_head(&w, profile, report);
  put_number(&w, ",\"n\":", counter->n);
  put(&w, ",\"outputs\":{");
  for (size_t i = 0; i < profile->output_count; i++) {
    put(&w, i ? "," : "");
    put_output(&w, &profile->outputs[i], cells);
    cells += es_output_cells(&profile->outputs[i]);
  }
  put(&w, "},\"inputs\":{");
  for (size_t i = 0; i < profile->input_count; i++) {
    put(&w, i ? "," : "");
    put(&w, profile->inputs[i].name);
    put(&w, ":");
    put_histograms(&w, &profile->inputs[i], cells);
    cells += es_tensor_cells(&profile->inputs[i]);
  }
  put_pairs(&w, "},\"latency\":", cells, profile->latency.count + 1);
  cells += profile->latency.count + 1;
  put_number(&w, ",\"switches\":", counter->switches);
  put(&w, ",\"errors\":{");
  for (size_t i = 0; i < counter->errors.count; i++) {
    put_text(&w, i ? "," : "", counter->errors.names[i]);
    put_number(&w, ":", cells[i]);
  }
  put_number(&w, "},\"fallbacks\":", counter->fallbacks);
  cells += ES_MOST_CODES;
  put(&w, ",\"outcomes\":{");
  for (size_t i = 0; i < counter->events.count; i++, cells += classes) {
    put_text(&w, i ? "," : "", counter->events.names[i]);
    put_pairs(&w, ":", cells, classes);
  }
  put(&w, "}}");
  if (capacity) text[w.length < capacity ? w.length : capacity - 1] = 0;
  return w.length;
}
