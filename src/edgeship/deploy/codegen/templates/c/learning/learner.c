#include "learner.h"

#include <math.h>
#include <string.h>

#include "parts.h"

size_t es_head_numbers(const es_head *head) { return (head->features + 1) * head->outputs; }

const float *es_current_head(const es_learner *l) { return l->has_learned ? l->learned : l->shipped; }

static void *take(uint8_t *base, size_t *used, size_t bytes) {
  const size_t at = *used;
  *used = at + (bytes + 15) / 16 * 16;
  return base ? base + at : NULL;
}

static size_t plan(const es_head *head, uint8_t *base, es_learner *l) {
  const size_t numbers = es_head_numbers(head), inputs = head->base->input_count;
  size_t used = 0;
  l->learned = take(base, &used, numbers * sizeof(float));
  l->trained = take(base, &used, numbers * sizeof(float));
  l->mixed = take(base, &used, numbers * sizeof(float));
  l->features = take(base, &used, ES_MOST_SAMPLES * head->features * sizeof(float));
  l->targets = take(base, &used, ES_MOST_SAMPLES * head->outputs * sizeof(float));
  l->numbers = take(base, &used, ES_MOST_SAMPLES * sizeof(uint32_t));
  l->order = take(base, &used, ES_MOST_SAMPLES * sizeof(uint32_t));
  l->rows = take(base, &used, head->batch * head->features * sizeof(float));
  l->target = take(base, &used, head->outputs * sizeof(float));
  l->errors = take(base, &used, head->batch * head->outputs * sizeof(double));
  l->scores = take(base, &used, head->outputs * sizeof(double));
  l->tensors = take(base, &used, inputs * sizeof(void *));
  for (size_t i = 0; i < inputs; i++) {
    void *tensor = take(base, &used, es_edge_bytes(&head->base->inputs[i].edge));
    if (base) l->tensors[i] = tensor;
  }
  return used;
}

size_t es_learner_bytes(const es_head *head) {
  es_learner none;
  return plan(head, NULL, &none);
}

const char *es_learner_open(es_learner *l, const es_head *head, es_engine *engine, const es_head_files *files,
                            const char *state, void *memory) {
  if (files->shipped_size != head->shipped.size || files->replay_size != head->samples.size ||
      es_sum_crc32(0, files->shipped, files->shipped_size) != head->shipped.checksum ||
      es_sum_crc32(0, files->replay, files->replay_size) != head->samples.checksum)
    return "not the head that this client was generated for";
  if (!engine || !memory) return "no engine, or no memory";
  memset(l, 0, sizeof *l);
  plan(head, memory, l);
  l->head = head;
  l->engine = engine;
  l->state = state;
  l->shipped = files->shipped;
  l->replay = files->replay;
  l->has_learned = es_read_head(l);
  if (!es_read_samples(l)) l->samples = l->next = 0;
  return NULL;
}

size_t es_count_part(const es_learner *l, es_part part) {
  if (part == ES_REPLAY) return l->head->replay;
  if (part == ES_GUARD) return l->head->guard;
  return part == ES_HELD_OUT ? l->held_out : l->samples - l->held_out;
}

/* `features` may be NULL. */
void es_read_sample(const es_learner *l, es_part part, size_t index, float *features, float *target) {
  const es_head *head = l->head;
  const size_t size = head->features, wide = head->outputs * sizeof *target;
  if (part == ES_TRAINED || part == ES_HELD_OUT) {
    const size_t at = l->order[part == ES_TRAINED ? index : l->samples - l->held_out + index];
    if (features) memcpy(features, l->features + at * size, size * sizeof *features);
    memcpy(target, l->targets + at * head->outputs, wide);
    return;
  }
  const size_t before = part == ES_GUARD ? head->replay * (size + wide) : 0;
  const size_t count = part == ES_GUARD ? head->guard : head->replay;
  const uint8_t *bytes = l->replay + before + index * size;
  for (size_t f = 0; features && f < size; f++) features[f] = (float)bytes[f] * head->scale + head->offset;
  memcpy(target, l->replay + before + count * size + index * wide, wide);
}

es_learn_status es_learner_compute(es_learner *l, const float *const *tensors, float *features) {
  const es_contract *base = l->head->base;
  void *outputs[1] = {features};
  for (size_t i = 0; i < base->input_count; i++) es_quantize(&base->inputs[i].edge, tensors[i], l->tensors[i]);
  if (es_engine_run(l->engine, (const void *const *)l->tensors, outputs)) return ES_ENGINE_FAILED;
  return es_is_finite(features, l->head->features) ? ES_LEARN_OK : ES_NOT_FINITE;
}

es_learn_status es_learner_predict(es_learner *l, const float *const *tensors, float *scores) {
  const es_learn_status status = es_learner_compute(l, tensors, l->rows);
  if (status) return status;
  es_compute_scores(l->head, es_current_head(l), l->rows, l->scores);
  es_apply_activation(l->head->answers, l->scores, l->head->outputs);
  for (size_t o = 0; o < l->head->outputs; o++) scores[o] = (float)l->scores[o];
  return ES_LEARN_OK;
}

es_learn_status es_learner_keep(es_learner *l, const float *features, const float *target) {
  const size_t size = l->head->features, wide = l->head->outputs;
  const int shares = l->head->activation != ES_LINEAR;
  for (size_t o = 0; o < wide; o++)
    if (!isfinite(target[o]) || (shares && !(target[o] >= 0 && target[o] <= 1))) return ES_BAD_LABEL;
  if (!es_is_finite(features, size)) return ES_NOT_FINITE;
  if (l->samples == ES_MOST_SAMPLES) { /* the oldest goes */
    l->samples--;
    memmove(l->features, l->features + size, l->samples * size * sizeof *l->features);
    memmove(l->targets, l->targets + wide, l->samples * wide * sizeof *l->targets);
    memmove(l->numbers, l->numbers + 1, l->samples * sizeof *l->numbers);
  }
  memcpy(l->features + l->samples * size, features, size * sizeof *features);
  memcpy(l->targets + l->samples * wide, target, wide * sizeof *target);
  l->numbers[l->samples++] = l->next++;
  if (es_write_samples(l)) return ES_LEARN_OK;
  l->samples--;
  l->next--;
  return ES_NOT_WRITTEN;
}

es_learn_status es_learner_collect_target(es_learner *l, const float *const *tensors, const float *target) {
  const es_learn_status status = es_learner_compute(l, tensors, l->rows);
  return status ? status : es_learner_keep(l, l->rows, target);
}

es_learn_status es_learner_collect(es_learner *l, const float *const *tensors, size_t label) {
  const size_t outputs = l->head->outputs;
  const int yes = outputs == 1; /* one score: no is 0, yes is 1 */
  if (l->head->activation == ES_LINEAR || label >= (yes ? 2 : outputs)) return ES_BAD_LABEL;
  memset(l->target, 0, outputs * sizeof *l->target);
  if (yes)
    l->target[0] = (float)label;
  else
    l->target[label] = 1;
  return es_learner_collect_target(l, tensors, l->target);
}

void es_learner_forget(es_learner *l, int samples) {
  es_delete_state(l, samples);
  l->has_learned = 0;
  if (samples) l->samples = l->next = 0;
}

const char *es_learn_text(es_learn_status status) {
  static const char *const texts[] = {"",
                                      "the loss rose: the rate is too large",
                                      "more answers on samples that the model knows became wrong",
                                      "more answers on the corrected samples that were held out became wrong",
                                      "nothing was corrected yet",
                                      "all corrected samples are of one class; correct some of another, too",
                                      "these inputs give features that are no finite numbers",
                                      "the label is none that the model can give",
                                      "the engine failed",
                                      "the folder for what is learned cannot be written to"};
  return texts[status];
}
