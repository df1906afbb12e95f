/* The parts of a learner: its samples, its arithmetic, its files. */
#ifndef EDGESHIP_LEARNER_PARTS_H
#define EDGESHIP_LEARNER_PARTS_H

#include "learner.h"

/* Corrected samples that are trained with, those that are held out, and the two kinds that travel with the head. */
typedef enum { ES_TRAINED, ES_HELD_OUT, ES_REPLAY, ES_GUARD } es_part;

typedef struct {
  double loss, quality; /* means over samples; NaN of none */
} es_measure;

/* Numbers of a head: its weights and bias. */
size_t es_head_numbers(const es_head *head);

/* The head that answers now. */
const float *es_current_head(const es_learner *learner);

size_t es_count_part(const es_learner *learner, es_part part);
void es_read_sample(const es_learner *learner, es_part part, size_t index, float *features, float *target);

/* (arithmetic.c) */
void es_compute_scores(const es_head *head, const float *weights, const float *features, double *scores);
void es_apply_activation(es_activation activation, double *scores, size_t count);
es_measure es_measure_part(es_learner *learner, es_part part, const float *weights);
/* One step of gradient descent on a batch: `fresh` corrected samples from number `step * fresh` on, the rest replayed ones. */
void es_take_step(es_learner *learner, size_t step, size_t fresh, double rate, float *weights);
int es_is_finite(const float *values, size_t count);

/* (state.c) Each file is whole or absent: read where it is, and is of this head. Written ones are moved into place. */
int es_read_head(es_learner *learner);
int es_write_head(const es_learner *learner, const float *weights);
int es_read_samples(es_learner *learner);
int es_write_samples(const es_learner *learner);
void es_delete_state(const es_learner *learner, int samples);
uint32_t es_sum_crc32(uint32_t sum, const void *bytes, size_t count);

#endif
