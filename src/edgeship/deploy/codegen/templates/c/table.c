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
