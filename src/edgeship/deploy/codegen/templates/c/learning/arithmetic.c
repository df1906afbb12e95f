#include <math.h>
#include <string.h>

#include "parts.h"

/* scores = features * weights + bias */
void es_compute_scores(const es_head *head, const float *weights, const float *features, double *scores) {
  const size_t outputs = head->outputs;
  const float *bias = weights + head->features * outputs;
  for (size_t o = 0; o < outputs; o++) scores[o] = bias[o];
  for (size_t f = 0; f < head->features; f++, weights += outputs) {
    const double x = features[f];
    if (x == 0) continue; /* as half of them are behind a ReLU */
    for (size_t o = 0; o < outputs; o++) scores[o] += x * weights[o];
  }
}

static double largest(const double *values, size_t count) {
  double most = values[0];
  for (size_t i = 1; i < count; i++) most = values[i] > most ? values[i] : most;
  return most;
}

void es_apply_activation(es_activation activation, double *scores, size_t count) {
  const double most = activation == ES_SOFTMAX ? largest(scores, count) : 0;
  double total = 0;
  for (size_t i = 0; i < count; i++) {
    if (activation == ES_SOFTMAX) total += scores[i] = exp(scores[i] - most);
    if (activation == ES_SIGMOID) /* without an exponential that overflows */
      scores[i] = scores[i] >= 0 ? 1 / (1 + exp(-scores[i])) : exp(scores[i]) / (1 + exp(scores[i]));
  }
  for (size_t i = 0; activation == ES_SOFTMAX && i < count; i++) scores[i] /= total;
}

/* The cross-entropy (sigmoid: summed over outputs), or half of the squared error. */
static double compute_loss(const es_head *head, const double *scores, const float *target) {
  const size_t count = head->outputs;
  const double most = head->activation == ES_SOFTMAX ? largest(scores, count) : 0;
  double total = 0, loss = 0;
  for (size_t i = 0; head->activation == ES_SOFTMAX && i < count; i++) total += exp(scores[i] - most);
  for (size_t i = 0; i < count; i++) {
    const double z = scores[i], t = target[i];
    if (head->activation == ES_SOFTMAX)
      loss -= t * (z - most - log(total));
    else if (head->activation == ES_SIGMOID)
      loss += (z > 0 ? z : 0) + log1p(exp(-fabs(z))) - z * t;
    else
      loss += 0.5 * (z - t) * (z - t);
  }
  return loss;
}

/* How much of a sample is right: the best class, or each output at a half; linear: the squared error. */
static double compare_scores(const es_head *head, const double *scores, const float *target) {
  size_t best = 0, wanted = 0, count = head->outputs;
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    if (scores[i] > scores[best]) best = i;
    if (target[i] > target[wanted]) wanted = i;
    if (head->activation == ES_SIGMOID) sum += (scores[i] > 0) == (target[i] > 0.5f);
    if (head->activation == ES_LINEAR) sum += (scores[i] - target[i]) * (scores[i] - target[i]);
  }
  return head->activation == ES_SOFTMAX ? best == wanted : sum / (double)count;
}

/* The mean square of what targets are off their means, each output its own. */
static double measure_spread(es_learner *l, es_part part) {
  const size_t outputs = l->head->outputs, count = es_count_part(l, part);
  double *means = l->errors, spread = 0;
  memset(means, 0, outputs * sizeof *means);
  for (size_t i = 0; i < count; i++) {
    es_read_sample(l, part, i, NULL, l->target);
    for (size_t o = 0; o < outputs; o++) means[o] += l->target[o] / (double)count;
  }
  for (size_t i = 0; i < count; i++) {
    es_read_sample(l, part, i, NULL, l->target);
    for (size_t o = 0; o < outputs; o++) spread += (l->target[o] - means[o]) * (l->target[o] - means[o]);
  }
  return spread / (double)(count * outputs);
}

es_measure es_measure_part(es_learner *l, es_part part, const float *weights) {
  const size_t count = es_count_part(l, part);
  double loss = 0, quality = 0;
  if (!count) return (es_measure){NAN, NAN};
  for (size_t i = 0; i < count; i++) {
    es_read_sample(l, part, i, l->rows, l->target);
    es_compute_scores(l->head, weights, l->rows, l->scores);
    loss += compute_loss(l->head, l->scores, l->target);
    quality += compare_scores(l->head, l->scores, l->target);
  }
  quality /= (double)count;
  if (l->head->activation == ES_LINEAR) {
    const double spread = measure_spread(l, part);
    quality = spread > 0 ? 1 - quality / spread : quality == 0;
  }
  return (es_measure){loss / (double)count, quality};
}

void es_take_step(es_learner *l, size_t step, size_t fresh, double rate, float *weights) {
  const es_head *head = l->head;
  const size_t outputs = head->outputs, features = head->features, batch = head->batch, kept = batch - fresh;
  for (size_t i = 0; i < batch; i++) {
    float *row = l->rows + i * features;
    double *error = l->errors + i * outputs;
    if (i < fresh)
      es_read_sample(l, ES_TRAINED, (step * fresh + i) % es_count_part(l, ES_TRAINED), row, l->target);
    else
      es_read_sample(l, ES_REPLAY, (step * kept + i - fresh) % head->replay, row, l->target);
    es_compute_scores(head, weights, row, error);
    es_apply_activation(head->activation, error, outputs);
    for (size_t o = 0; o < outputs; o++) error[o] = (error[o] - l->target[o]) / (double)batch;
  }
  for (size_t f = 0; f <= features; f++, weights += outputs) { /* the last is the bias, whose feature is 1 */
    memset(l->scores, 0, outputs * sizeof *l->scores);
    for (size_t i = 0; i < batch; i++) {
      const double x = f < features ? l->rows[i * features + f] : 1, *error = l->errors + i * outputs;
      if (x == 0) continue;
      for (size_t o = 0; o < outputs; o++) l->scores[o] += x * error[o];
    }
    for (size_t o = 0; o < outputs; o++) weights[o] = (float)(weights[o] - rate * l->scores[o]);
  }
}

int es_is_finite(const float *values, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return 0;
  return 1;
}
