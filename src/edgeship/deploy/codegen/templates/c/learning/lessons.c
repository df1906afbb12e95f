#if defined(__unix__) || defined(__APPLE__)
#define _XOPEN_SOURCE 700
#include <unistd.h>
#elif defined(_WIN32)
#include <direct.h>
#endif

#include "lessons.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "head.h"
#include "parts.h"

enum { LONGEST = 1024 };
static const double ALIKE = 1e-4; /* of the largest number of a head */

typedef struct {
  const es_contract *contract;
  const char *goldens;
  char folder[LONGEST]; /* of the state */
  es_learner learner;
  es_engine *engine;
  void *base, *shipped, *replay, *memory;
  char *problem;
  size_t room;
} run;

static int fail(run *r, const char *what, const char *detail) {
  snprintf(r->problem, r->room, "%s%s%s", what, *detail ? ": " : "", detail);
  return 0;
}

/* A whole file, to be freed; NULL where it is not there. `size`: that of it. */
static void *read_file(const char *folder, size_t length, const char *name, size_t *size) {
  char path[LONGEST];
  FILE *file = NULL;
  char *content = NULL;
  long end = -1;
  if (snprintf(path, sizeof path, "%.*s%s", (int)length, folder, name) < (int)sizeof path) file = fopen(path, "rb");
  if (file && !fseek(file, 0, SEEK_END)) end = ftell(file);
  if (end >= 0 && !fseek(file, 0, SEEK_SET)) content = malloc((size_t)end + 1);
  *size = content ? fread(content, 1, (size_t)end, file) : 0;
  if (file) fclose(file);
  return content;
}

/* As many float32 numbers as a golden's file must hold, to be freed. */
static float *read_floats(run *r, const char *name, size_t count) {
  size_t size = 0;
  char file[LONGEST];
  float *values = NULL;
  if (snprintf(file, sizeof file, "/%s", name) < (int)sizeof file)
    values = read_file(r->goldens, strlen(r->goldens), file, &size);
  if (values && size == count * sizeof *values) return values;
  free(values);
  fail(r, "a golden is missing, or of another size", name);
  return NULL;
}

static int open_head(run *r, const char *model) {
  const es_head *head = &es_head_of_model;
  const char *end = strrchr(model, '/');
  const size_t length = end ? (size_t)(end - model) + 1 : 0;
  const char *problem = "head/base.tflite cannot be read";
  es_head_files files;
  size_t size = 0;
  r->base = read_file(model, length, "head/base.tflite", &size);
  if (!r->base) return fail(r, problem, "");
  if (size != head->base->model_size || es_sum_crc32(0, r->base, size) != head->base->checksum)
    return fail(r, "head/base.tflite is another file than this client was generated for", "");
  r->engine = es_engine_open(head->base, r->base, size, 1, &problem);
  if (!r->engine) return fail(r, "head/base.tflite", problem);
  files.shipped = r->shipped = read_file(model, length, "head/shipped.bin", &files.shipped_size);
  files.replay = r->replay = read_file(model, length, "head/replay.bin", &files.replay_size);
  r->memory = malloc(es_learner_bytes(head));
  if (!r->shipped || !r->replay || !r->memory) return fail(r, "head/ cannot be read", "");
  problem = es_learner_open(&r->learner, head, r->engine, &files, r->folder, r->memory);
  return problem ? fail(r, "head/", problem) : 1;
}

static int check_case(run *r, const char *name, const float *wanted) {
  const es_contract *contract = r->contract;
  const es_output *output = &r->learner.head->base->outputs[0];
  float **tensors = calloc(contract->input_count, sizeof *tensors), *features = malloc(output->edge.size * sizeof(float));
  char file[LONGEST];
  int whole = tensors && features;
  double worst = 0;
  for (size_t i = 0; whole && i < contract->input_count; i++) {
    snprintf(file, sizeof file, "%.400s.%.400s.tensor", name, contract->inputs[i].name);
    whole = (tensors[i] = read_floats(r, file, contract->inputs[i].edge.size)) != NULL;
  }
  if (whole) {
    const es_learn_status status = es_learner_compute(&r->learner, (const float *const *)tensors, features);
    whole = status ? fail(r, name, es_learn_text(status)) : 1;
  }
  for (size_t f = 0; whole && f < output->edge.size; f++)
    worst = fabs(features[f] - wanted[f]) > worst ? fabs(features[f] - wanted[f]) : worst;
  if (whole && worst > output->tolerance) {
    snprintf(file, sizeof file, "features of %.60s are off by %.3g, allowed are %.3g", name, worst, output->tolerance);
    whole = fail(r, file, "");
  }
  for (size_t i = 0; tensors && i < contract->input_count; i++) free(tensors[i]);
  free(tensors);
  free(features);
  return whole;
}

static int check_features(run *r) {
  const size_t size = r->learner.head->features, count = r->contract->case_count;
  float *wanted = read_floats(r, "learning.features", count * size);
  int right = wanted != NULL;
  for (size_t k = 0; right && k < count; k++) right = check_case(r, r->contract->cases[k].name, wanted + k * size);
  free(wanted);
  return right;
}

/* Collect the samples of a lesson, and learn. */
static int end_lesson(run *r, const char *name, const es_lesson *lesson) {
  const size_t size = r->learner.head->features, outputs = r->learner.head->outputs;
  float *values = read_floats(r, name, lesson->added * (size + outputs));
  es_learn_status status = ES_LEARN_OK;
  es_learn_result result;
  if (!values) return 0;
  for (size_t i = 0; !status && i < lesson->added; i++)
    status = es_learner_keep(&r->learner, values + i * size, values + lesson->added * size + i * outputs);
  free(values);
  if (status) return fail(r, "a sample is not kept", es_learn_text(status));
  es_learn(&r->learner, NULL, &result);
  if (result.status != lesson->status)
    return fail(r, lesson->status ? "what must be refused is learned, or refused as" : "nothing is learned",
                es_learn_text(result.status));
  if (result.samples != lesson->samples || result.held_out != lesson->held_out || result.steps != lesson->steps ||
      result.share != lesson->share)
    return fail(r, name, "learned from other samples, in other steps or another part of the way");
  return 1;
}

static int compare_head(run *r, const float *wanted, const char *what) {
  const float *head = es_current_head(&r->learner);
  const size_t count = es_head_numbers(r->learner.head);
  double worst = 0, most = 0;
  for (size_t i = 0; i < count; i++) {
    if (!(fabs((double)head[i] - wanted[i]) <= worst)) worst = fabs((double)head[i] - wanted[i]);
    if (fabs(wanted[i]) > most) most = fabs(wanted[i]);
  }
  return worst <= ALIKE * most ? 1 : fail(r, what, "the head that answers is another");
}

/* The learned head with a bit of its file flipped, and after all was forgotten, in a learner that begins anew. */
static int check_damage(run *r, const char *model) {
  char path[LONGEST + 16];
  FILE *file;
  int last;
  snprintf(path, sizeof path, "%s/head.bin", r->folder);
  file = fopen(path, "r+b");
  if (!file || fseek(file, -5, SEEK_END) || (last = fgetc(file)) == EOF || fseek(file, -5, SEEK_END))
    return fail(r, "head.bin cannot be changed", "");
  fputc(last ^ 1, file);
  fclose(file);
  const es_head_files files = {r->shipped, r->replay, r->learner.head->shipped.size, r->learner.head->samples.size};
  es_learner_open(&r->learner, r->learner.head, r->engine, &files, r->folder, r->memory);
  if (r->learner.has_learned) return fail(r, "a head with a flipped bit answers", model);
  if (!compare_head(r, r->learner.shipped, "after a bit was flipped")) return 0;
  if (r->learner.samples != r->learner.head->bad.samples) return fail(r, "samples are not there after a restart", "");
  es_learner_forget(&r->learner, 1);
  es_learner_open(&r->learner, r->learner.head, r->engine, &files, r->folder, r->memory);
  if (r->learner.samples) return fail(r, "samples are there after they were forgotten", "");
  return compare_head(r, r->learner.shipped, "after all was forgotten");
}

static int check_all(run *r, const char *model) {
  const es_head *head = &es_head_of_model;
  float *wanted;
  int right;
  if (!open_head(r, model)) return 0;
  wanted = read_floats(r, "learning.heads", es_head_numbers(head));
  right = wanted && check_features(r) && end_lesson(r, "learning.samples", &head->lesson) &&
          compare_head(r, wanted, "after learning") && end_lesson(r, "learning.bad", &head->bad) &&
          compare_head(r, wanted, "after what was refused") && check_damage(r, model);
  free(wanted);
  es_learner_forget(&r->learner, 1);
  return right;
}

/* A folder of the self-test's own, never one where an app keeps what it learned. */
static int make_folder(run *r) {
#if defined(__unix__) || defined(__APPLE__)
  const char *const places[] = {getenv("TMPDIR"), "/tmp", "."};
  for (size_t i = 0; i < 3; i++) {
    if (!places[i] || !*places[i]) continue;
    snprintf(r->folder, sizeof r->folder, "%.900s/edgeship-learns-XXXXXX", places[i]);
    if (mkdtemp(r->folder)) return 1;
  }
#elif defined(_WIN32)
  if (tmpnam(r->folder) && !_mkdir(r->folder)) return 1;
#endif
  return fail(r, "no folder can be made for what is learned; set TMPDIR to one that can be written to", "");
}

static void remove_folder(const run *r) {
#if defined(__unix__) || defined(__APPLE__)
  rmdir(r->folder);
#elif defined(_WIN32)
  _rmdir(r->folder);
#else
  (void)r;
#endif
}

int es_check_learning(const es_contract *contract, const char *model, const char *goldens, char *problem, size_t size) {
  run r = {.contract = contract, .goldens = goldens, .problem = problem, .room = size};
  int right = make_folder(&r);
  if (right) {
    right = check_all(&r, model);
    remove_folder(&r);
  }
  if (r.engine) es_engine_close(r.engine);
  free(r.base);
  free(r.shipped);
  free(r.replay);
  free(r.memory);
  return right;
}
