#include "counter.h"

#include <math.h>
#include <string.h>

static size_t find_bin(const es_bins *bins, double value) {
  size_t low = 0, high = bins->count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (bins->edges[middle] <= value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

size_t es_tensor_cells(const es_counted *tensor) {
  size_t cells = 0;
  for (size_t i = 0; i < tensor->descriptor_count; i++) cells += tensor->descriptors[i].count + 2;
  return cells;
}

static size_t count_joint(const es_counted_output *output) { return output->classes * (output->confidence.count + 1); }

size_t es_output_cells(const es_counted_output *output) {
  return output->classes ? count_joint(output) + output->margin.count + 1 + output->entropy.count + 1
                         : es_tensor_cells(&output->tensor);
}

size_t es_outcome_classes(const es_profile *profile) {
  for (size_t i = 0; i < profile->output_count; i++)
    if (profile->outputs[i].classes) return profile->outputs[i].classes;
  return 1;
}

size_t es_counter_bytes(const es_profile *profile) {
  size_t cells = profile->latency.count + 1 + ES_MOST_CODES * (1 + es_outcome_classes(profile));
  for (size_t i = 0; i < profile->output_count; i++) cells += es_output_cells(&profile->outputs[i]);
  for (size_t i = 0; i < profile->input_count; i++) cells += es_tensor_cells(&profile->inputs[i]);
  return cells * sizeof(uint32_t);
}

void es_counter_open(es_counter *counter, const es_profile *profile, void *memory) {
  counter->profile = profile;
  counter->cells = memory;
  counter->before = -1;
  es_counter_clear(counter);
}

void es_counter_clear(es_counter *counter) {
  memset(counter->cells, 0, es_counter_bytes(counter->profile));
  counter->n = counter->switches = counter->fallbacks = 0;
  counter->errors.count = counter->events.count = 0;
}

/* Mean, deviation, shares of low and high numbers, and the mean step, in double as in every language. */
static void describe_tensor(const es_counted *tensor, const float *values, double *figures) {
  const double first = values[0];
  double sum = 0, squares = 0, steps = 0;
  size_t count = 0, below = 0, above = 0, pairs = 0;
  for (size_t i = 0; i < tensor->size; i += tensor->every, count++) {
    const double value = values[i], shifted = value - first;
    sum += shifted;
    squares += shifted * shifted;
    below += value <= tensor->low;
    above += value >= tensor->high;
  }
  for (size_t i = tensor->stride; i < tensor->size; i += tensor->every, pairs++)
    steps += fabs((double)values[i] - (double)values[i - tensor->stride]);
  const double mean = sum / (double)count, variance = squares / (double)count - mean * mean;
  figures[0] = first + mean;
  figures[1] = sqrt(variance < 0 ? 0 : variance);
  figures[2] = (double)below / (double)count;
  figures[3] = (double)above / (double)count;
  figures[4] = pairs ? steps / (double)pairs : 0;
}

static void count_tensor(const es_counted *tensor, const float *values, uint32_t *cells) {
  double figures[5] = {0};
  if (!tensor->columns) describe_tensor(tensor, values, figures);
  for (size_t i = 0; i < tensor->descriptor_count; i++) {
    const es_bins *bins = &tensor->descriptors[i];
    const double value = tensor->columns ? (double)values[i] : figures[i];
    cells[value != value ? bins->count + 1 : find_bin(bins, value)]++;
    cells += bins->count + 2;
  }
}

typedef struct {
  size_t predicted;
  double confidence, margin, entropy;
} answer;

/* Add a probability to the highest two and the entropy. */
static void add_share(double share, double *top, double *next, double *entropy) {
  if (share > *top) {
    *next = *top;
    *top = share;
  } else if (share > *next) {
    *next = share;
  }
  if (share > 0) *entropy -= share * log(share);
}

/* Returns 0 where a score is not finite. */
static int describe_scores(const es_counted_output *output, const float *scores, answer *found) {
  const size_t count = output->tensor.size;
  double total = 0, powers = 0, largest = -INFINITY, top = -INFINITY, next = -INFINITY, entropy = 0;
  found->predicted = 0;
  for (size_t i = 0; i < count; i++) {
    total += (double)scores[i];
    if ((double)scores[i] > largest) {
      largest = scores[i];
      found->predicted = i;
    }
  }
  if (!isfinite(total)) return 0;
  if (output->scores == ES_SCORE || output->scores == ES_LOGIT) {
    const double second = output->scores == ES_LOGIT ? 1 / (1 + exp(-largest)) : largest;
    found->predicted = largest >= output->threshold;
    found->confidence = found->predicted ? second : 1 - second;
    add_share(1 - second, &top, &next, &entropy);
    add_share(second, &top, &next, &entropy);
  } else {
    for (size_t i = 0; i < count; i++) powers += exp((double)scores[i] - largest);
    for (size_t i = 0; i < count; i++) {
      const double share = output->scores == ES_LOGITS ? exp((double)scores[i] - largest) / powers : (double)scores[i];
      if (i == found->predicted) found->confidence = share;
      add_share(share, &top, &next, &entropy);
    }
  }
  found->margin = top - next;
  found->entropy = entropy / log((double)output->classes);
  return 1;
}

static void count_answer(const es_counted_output *output, const answer *found, uint32_t *cells) {
  cells[found->predicted * (output->confidence.count + 1) + find_bin(&output->confidence, found->confidence)]++;
  cells += count_joint(output);
  cells[find_bin(&output->margin, found->margin)]++;
  cells[output->margin.count + 1 + find_bin(&output->entropy, found->entropy)]++;
}

long es_count(es_counter *counter, const float *const *outputs, const float *const *inputs, double milliseconds) {
  const es_profile *profile = counter->profile;
  uint32_t *cells = counter->cells;
  long first = -1;
  answer found;
  for (size_t i = 0; i < profile->output_count; i++) {
    const es_counted_output *output = &profile->outputs[i];
    if (output->classes && !describe_scores(output, outputs[output->tensor.place], &found)) {
      es_count_error(counter, "not_finite");
      return -1;
    }
  }
  counter->n++;
  for (size_t i = 0; i < profile->output_count; i++) {
    const es_counted_output *output = &profile->outputs[i];
    const float *values = outputs[output->tensor.place];
    if (output->classes) {
      describe_scores(output, values, &found);
      count_answer(output, &found, cells);
      if (first < 0) first = (long)found.predicted;
    } else {
      count_tensor(&output->tensor, values, cells);
    }
    cells += es_output_cells(output);
  }
  for (size_t i = 0; i < profile->input_count; i++) {
    count_tensor(&profile->inputs[i], inputs[profile->inputs[i].place], cells);
    cells += es_tensor_cells(&profile->inputs[i]);
  }
  if (milliseconds >= 0) cells[find_bin(&profile->latency, milliseconds)]++;
  if (first >= 0) {
    counter->switches += counter->before >= 0 && counter->before != first;
    counter->before = first;
  }
  return first;
}

/* The place of a code among those that were counted; -1 where it can be none. */
static long find_code(es_codes *codes, const char *name) {
  const size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
  if (!length || length > ES_LONGEST_CODE || name[length] || name[0] == '_' || (name[0] >= '0' && name[0] <= '9'))
    return -1;
  for (size_t i = 0; i < codes->count; i++)
    if (!strcmp(codes->names[i], name)) return (long)i;
  if (codes->count >= ES_MOST_CODES - 1 && strcmp(name, "other")) return find_code(codes, "other");
  strcpy(codes->names[codes->count], name);
  return (long)codes->count++;
}

/* Cells of errors and outcomes come last. */
static uint32_t *end_of_cells(const es_counter *counter) {
  return counter->cells + es_counter_bytes(counter->profile) / sizeof *counter->cells;
}

int es_count_error(es_counter *counter, const char *code) {
  const size_t classes = es_outcome_classes(counter->profile);
  const long place = find_code(&counter->errors, code);
  if (place < 0) return 0;
  (end_of_cells(counter) - ES_MOST_CODES * (1 + classes))[place]++;
  return 1;
}

int es_count_outcome(es_counter *counter, const char *event, long predicted) {
  const size_t classes = es_outcome_classes(counter->profile);
  const size_t class = predicted < 0 ? 0 : (size_t)predicted;
  const long place = class < classes ? find_code(&counter->events, event) : -1;
  if (place < 0) return 0;
  (end_of_cells(counter) - ES_MOST_CODES * classes)[(size_t)place * classes + class]++;
  return 1;
}

void es_count_fallback(es_counter *counter) { counter->fallbacks++; }
