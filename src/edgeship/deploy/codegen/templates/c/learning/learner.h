/* Teaches the last layer of the model from corrected answers, on the device: docs/learning/on-device.md of edgeship. Nothing
 * leaves it. The step is arithmetic, without random numbers: the same samples give the same head. C99, no allocation: the
 * caller lends the memory. One thread at a time. Little endian, as TensorFlow Lite is. */
#ifndef EDGESHIP_LEARNER_H
#define EDGESHIP_LEARNER_H

#include "../engine.h"

/* What scores go through. */
typedef enum { ES_LINEAR, ES_SIGMOID, ES_SOFTMAX } es_activation;

enum { ES_MOST_SAMPLES = 1024 };

typedef enum {
  ES_LEARN_OK,   /* the sample is kept; the new head answers */
  ES_LOSS_ROSE,  /* the new head is not kept: the rate is too large for these samples */
  ES_GUARD_FELL, /* it is not kept: more answers on samples that the model knows became wrong */
  ES_HELD_OUT_FELL,     /* it is not kept: more answers on corrected samples that it was not trained with became wrong */
  ES_NOTHING_CORRECTED, /* there is no sample to learn from */
  ES_ONE_CLASS,         /* all samples are of one class: correct some of another, too */
  ES_NOT_FINITE,        /* the inputs give features that are no finite numbers */
  ES_BAD_LABEL,         /* the label is none that the model can give */
  ES_ENGINE_FAILED,
  ES_NOT_WRITTEN /* the folder of the state cannot be written to */
} es_learn_status;

typedef struct {
  size_t size;
  uint32_t checksum; /* CRC-32 */
} es_head_file;

/* How a lesson of the self-test ends, which adds so many samples. */
typedef struct {
  size_t added, samples, held_out, steps;
  double share;
  es_learn_status status;
} es_lesson;

/* The head that is learned. `activation` is what scores go through there, `answers` what they go through to be the model's
 * own output, the `place`-th. A stored feature is byte * scale + offset. `base`: the model without its head, whose one
 * output are the features, off by at most its tolerance on a right device. */
typedef struct {
  const char *digest; /* 64 digits: of what was learned, the state of another does not count */
  size_t features, outputs, batch, replay, guard, place;
  es_activation activation, answers;
  double rate;
  float scale, offset;
  const es_contract *base;
  es_head_file shipped, samples;
  es_lesson lesson, bad;
} es_head;

/* The files head/shipped.bin and head/replay.bin in memory, aligned as by malloc, which must stay there. */
typedef struct {
  const void *shipped, *replay;
  size_t shipped_size, replay_size;
} es_head_files;

/* How a head is learned: `rate` 0: the one of the head. `passes` over the corrected samples, within bounds; `limit`: how far
 * the share of right answers may fall; a single sample may always. */
typedef struct {
  double rate;
  size_t passes, fewest_steps, most_steps;
  double limit;
} es_learn_settings;

/* What came of learning. `share`: how far it went from the shipped head to the new one, where all of the way was too far.
 * Qualities are shares of right answers (linear: 1 - squared error / variance), of the head that was there before and of the
 * new one: of the samples trained with, of those held out (0 of 0: NaN), and of those that travel with the head, where
 * `guard_before` is the shipped head's. Losses are of the shipped head and of the new one, and may be no finite number. */
typedef struct {
  es_learn_status status;
  size_t samples, held_out, steps;
  double rate, loss_before, loss_after, corrected_before, corrected_after, guard_before, guard_after, held_out_before,
      held_out_after, share;
} es_learn_result;

/* Heads are weights (features x outputs), then the bias; all others are of the corrected samples, or lent room. */
typedef struct {
  const es_head *head;
  es_engine *engine;
  const char *state;
  const uint8_t *replay;
  const float *shipped;
  float *learned, *trained, *mixed;
  float *features, *targets;
  uint32_t *numbers, *order;
  uint32_t next;
  size_t samples, held_out;
  int has_learned;
  float *rows, *target;
  double *errors, *scores;
  void **tensors;
} es_learner;

/* Bytes of memory that a learner needs, most of them for 1,024 samples. */
size_t es_learner_bytes(const es_head *head);

/* Begin with such memory, aligned as by malloc, on an engine that was opened with `head->base` and head/base.tflite.
 * `state`: a folder of the device's own, which is there, and stays a valid text; what was learned before is read from it.
 * Returns NULL, or what is wrong. */
const char *es_learner_open(es_learner *learner, const es_head *head, es_engine *engine, const es_head_files *files,
                            const char *state, void *memory);

/* What the model's output is with the head as it is now: `head->outputs` scores, for es_decide. `tensors`: as es_preprocess
 * gives them, in the contract's order. */
es_learn_status es_learner_predict(es_learner *learner, const float *const *tensors, float *scores);

/* Keep a corrected sample as features, the newest 1,024 of all: with the right class, or with what the outputs should
 * have been. */
es_learn_status es_learner_collect(es_learner *learner, const float *const *tensors, size_t label);
es_learn_status es_learner_collect_target(es_learner *learner, const float *const *tensors, const float *target);

/* Train a new head from the shipped one with all corrected samples and those that travel with it; keep it, whole or a part
 * of the way, where it is no worse. `settings` NULL: the usual ones. Returns 1 where a new head answers, else
 * `result->status` says why not. */
int es_learn(es_learner *learner, const es_learn_settings *settings, es_learn_result *result);

/* Answer with the shipped head again; the corrected samples are deleted, too, where `samples`. */
void es_learner_forget(es_learner *learner, int samples);

const char *es_learn_text(es_learn_status status);

/* The features of tensors, and to keep a sample that is features already (the self-test's are). */
es_learn_status es_learner_compute(es_learner *learner, const float *const *tensors, float *features);
es_learn_status es_learner_keep(es_learner *learner, const float *features, const float *target);

#endif
