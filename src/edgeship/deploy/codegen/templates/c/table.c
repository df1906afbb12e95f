#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "edgeship.h"

static size_t find_value(const es_column *column, const char *text) {
  size_t place = 0;
  while (place < column->value_count && strcmp(column->values[place], text)) place++;
  return place;
}

es_status es_read_table(const es_input *input, const es_raw *raw, float *numbers) {
  const char *const *texts = raw->data;
  for (size_t i = 0; i < raw->count; i++) {
    const es_column *column = &input->columns[i];
    if (column->has_missing && !*texts[i]) {
      numbers[i] = column->missing;
    } else if (column->values) {
      const size_t place = find_value(column, texts[i]);
      if (place == column->value_count && column->unknown < 0) return ES_BAD_VALUE;
      numbers[i] = (float)(place < column->value_count ? (int)place : column->unknown);
    } else {
      char *end;
      numbers[i] =
          (float)strtod(texts[i], &end); /* with a decimal point: the locale is C's unless the app sets another */
      if (end == texts[i] || *end) return ES_BAD_VALUE;
    }
  }
  return ES_OK;
}

/* As RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static int is_utf8(const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count;) {
    const uint8_t head = bytes[i++];
    const int more = head < 0x80 ? 0 : head >= 0xC2 && head < 0xE0 ? 1 : head >= 0xE0 && head < 0xF0 ? 2 : 3;
    if (more == 3 && (head < 0xF0 || head > 0xF4)) return 0;
    const uint8_t low = head == 0xE0 ? 0xA0 : head == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = head == 0xED ? 0x9F : head == 0xF4 ? 0x8F : 0xBF;
    for (int part = 0; part < more; part++, i++)
      if (i >= count || bytes[i] < (part ? 0x80 : low) || bytes[i] > (part ? 0xBF : high)) return 0;
  }
  return 1;
}

es_status es_read_text(const es_input *input, const es_raw *raw, float *ids) {
  const uint8_t *bytes = raw->data;
  uint32_t hash = 0;
  size_t words = 0;
  int inside = 0;
  if (!is_utf8(bytes, raw->count)) return ES_BAD_VALUE;
  for (size_t i = 0; i < input->edge.size; i++) ids[i] = 0;
  for (size_t i = 0; i < raw->count; i++) {
    const uint32_t byte = bytes[i] >= 'A' && bytes[i] <= 'Z' ? bytes[i] + 32u : bytes[i];
    const int part = byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
    if (part && !inside && ++words > input->edge.size) break;
    if (part) {
      hash = ((inside ? hash : 2166136261u) ^ byte) * 16777619u; /* FNV-1a */
      ids[words - 1] = (float)(1 + hash % input->buckets);
    }
    inside = part;
  }
  return ES_OK;
}

/* softmax(z / temperature), of logits z or of the logarithms of probabilities. */
static void calibrate(const es_decision *decision, float *scores, size_t count) {
  double most = scores[0], total = 0;
  for (size_t i = 1; i < count; i++) most = scores[i] > most ? scores[i] : most;
  for (size_t i = 0; i < count; i++) {
    const double below = decision->logits ? scores[i] - most : log(scores[i] / most);
    total += scores[i] = (float)exp(below / decision->temperature);
  }
  for (size_t i = 0; i < count; i++) scores[i] = (float)(scores[i] / total);
}

size_t es_decide(const es_output *output, float *scores, size_t k, es_answer *answers) {
  const es_decision *decision = &output->decision;
  const size_t count = output->edge.size;
  if (count == 1 && output->label_count == 2) {
    const size_t yes = scores[0] >= decision->threshold;
    answers[0] = (es_answer){yes, output->labels[yes], scores[0]};
    return 1;
  }
  if (decision->temperature > 0) calibrate(decision, scores, count);
  size_t found = 0;
  for (; found < k && found < count; found++) {
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
      size_t taken = 0;
      while (taken < found && answers[taken].index != i) taken++;
      if (taken == found && (best == count || scores[i] > scores[best])) best = i;
    }
    if (decision->has_threshold && scores[best] < decision->threshold) break;
    answers[found] = (es_answer){best, best < output->label_count ? output->labels[best] : NULL, scores[best]};
  }
  return found;
}
