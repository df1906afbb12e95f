#include <math.h>
#include <string.h>

#include "parts.h"

enum { HELD_OUT_EVERY = 4 }; /* one corrected sample of so many is never trained with */

static const es_learn_settings USUAL = {0, 40, 100, 2000, 0.02};

typedef struct {
  es_measure trained, held_out;   /* of the head that answered before */
  es_measure seen, replay, guard; /* of the shipped one, on the samples trained with, the replayed and the judging ones */
} baseline;

/* Those that are trained with first in `order`, then those held out. */
static void order_samples(es_learner *l) {
  size_t first = 0, last = l->samples;
  l->held_out = 0;
  for (size_t i = 0; i < l->samples; i++) l->held_out += l->numbers[i] % HELD_OUT_EVERY == HELD_OUT_EVERY - 1;
  last -= l->held_out;
  for (size_t i = 0; i < l->samples; i++)
    l->order[l->numbers[i] % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 ? last++ : first++] = (uint32_t)i;
}

static size_t find_class(const float *target, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (target[i] > target[best]) best = i;
  return best;
}

static es_learn_status check_samples(const es_learner *l) {
  const size_t outputs = l->head->outputs;
  if (!l->samples) return ES_NOTHING_CORRECTED;
  if (l->head->activation != ES_SOFTMAX) return ES_LEARN_OK;
  for (size_t i = 1; i < l->samples; i++)
    if (find_class(l->targets + i * outputs, outputs) != find_class(l->targets, outputs)) return ES_LEARN_OK;
  return ES_ONE_CLASS;
}

static baseline measure_before(es_learner *l) {
  const float *current = es_current_head(l);
  baseline b;
  b.trained = es_measure_part(l, ES_TRAINED, current);
  b.held_out = es_measure_part(l, ES_HELD_OUT, current);
  b.seen = l->has_learned ? es_measure_part(l, ES_TRAINED, l->shipped) : b.trained;
  b.replay = es_measure_part(l, ES_REPLAY, l->shipped);
  b.guard = es_measure_part(l, ES_GUARD, l->shipped);
  return b;
}

/* Whether a quality fell by more than the limit; of few samples, a single one is no sign of anything. */
static int fell(double before, double after, size_t count, double limit) {
  const double least = 1.5 / (double)count;
  return !(before - after <= (limit > least ? limit : least));
}

/* Corrected and replayed samples count half and half, as they are trained with. */
static double mean_loss(const es_learner *l, double seen, double replay) {
  return l->samples > l->held_out ? (seen + replay) / 2 : replay;
}

static void judge_head(es_learner *l, const baseline *before, const float *weights, double limit, es_learn_result *r) {
  const es_measure seen = es_measure_part(l, ES_TRAINED, weights), replay = es_measure_part(l, ES_REPLAY, weights);
  const es_measure guard = es_measure_part(l, ES_GUARD, weights), held = es_measure_part(l, ES_HELD_OUT, weights);
  r->loss_before = mean_loss(l, before->seen.loss, before->replay.loss);
  r->loss_after = mean_loss(l, seen.loss, replay.loss);
  r->corrected_before = before->trained.quality;
  r->corrected_after = seen.quality;
  r->guard_before = before->guard.quality;
  r->guard_after = guard.quality;
  r->held_out_before = before->held_out.quality;
  r->held_out_after = held.quality;
  r->status = ES_LEARN_OK;
  if (!es_is_finite(weights, es_head_numbers(l->head)) || !(r->loss_after <= r->loss_before))
    r->status = ES_LOSS_ROSE;
  else if (fell(r->guard_before, r->guard_after, l->head->guard, limit))
    r->status = ES_GUARD_FELL;
  else if (l->held_out && fell(r->held_out_before, r->held_out_after, l->held_out, limit))
    r->status = ES_HELD_OUT_FELL;
}

/* A new head in `trained`, from the shipped one. */
static void train_head(es_learner *l, const es_learn_settings *settings, es_learn_result *r) {
  const size_t trained = l->samples - l->held_out, half = l->head->batch / 2, fresh = half < trained ? half : trained;
  size_t steps = settings->passes * ((trained + fresh - 1) / (fresh ? fresh : 1));
  if (steps > settings->most_steps) steps = settings->most_steps;
  if (steps < settings->fewest_steps) steps = settings->fewest_steps;
  r->steps = steps;
  memcpy(l->trained, l->shipped, es_head_numbers(l->head) * sizeof *l->trained);
  for (size_t step = 0; step < steps; step++) es_take_step(l, step, fresh, r->rate, l->trained);
}

static int keep_head(es_learner *l, const float *weights, es_learn_result *r) {
  if (!es_write_head(l, weights)) {
    r->status = ES_NOT_WRITTEN;
    return 0;
  }
  memcpy(l->learned, weights, es_head_numbers(l->head) * sizeof *weights);
  l->has_learned = 1;
  return 1;
}

int es_learn(es_learner *l, const es_learn_settings *settings, es_learn_result *r) {
  const size_t numbers = es_head_numbers(l->head);
  *r = (es_learn_result){.status = check_samples(l), .samples = l->samples, .share = 1};
  if (!settings) settings = &USUAL;
  if (r->status) return 0;
  order_samples(l);
  r->held_out = l->held_out;
  r->rate = settings->rate > 0 ? settings->rate : l->head->rate;
  const baseline before = measure_before(l);
  train_head(l, settings, r);
  judge_head(l, &before, l->trained, settings->limit, r);
  if (!r->status) return keep_head(l, l->trained, r);
  if (r->status == ES_LOSS_ROSE) return 0;
  for (float share = 0.5f; share >= 0.25f; share /= 2) { /* all of the way was too far */
    es_learn_result part = *r;
    for (size_t i = 0; i < numbers; i++) l->mixed[i] = l->shipped[i] + share * (l->trained[i] - l->shipped[i]);
    judge_head(l, &before, l->mixed, settings->limit, &part);
    if (part.status || part.corrected_after <= part.corrected_before) continue; /* it mends nothing */
    *r = part;
    r->share = share;
    return keep_head(l, l->mixed, r);
  }
  return 0;
}
