#include "selftest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

typedef struct {
  const es_contract *contract;
  const char *goldens;
  es_engine *engine;
  FILE *out;
  int failures, wrong_tensors;
  void **bytes_in, **bytes_out; /* of each input and output */
  double *errors;               /* of each output: the largest; -1: not compared */
} run;

static void print_text(FILE *out, const char *text) {
  fputc('"', out);
  for (; *text; text++) {
    const unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\' || c < 32)
      fprintf(out, "\\u%04x", c);
    else
      fputc(c, out);
  }
  fputc('"', out);
}

static void fail(run *r, const char *name, const char *what, const char *detail) {
  fputs(r->failures++ ? ",\n  " : "\n  ", r->out);
  fputs("{\"case\": ", r->out);
  print_text(r->out, name);
  fprintf(r->out, ", \"what\": \"%s\", \"detail\": ", what);
  print_text(r->out, detail);
  fputc('}', r->out);
}

/* The whole file, to be freed; NULL where it cannot be read. */
static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  char *content = NULL;
  long length = -1;
  if (file && !fseek(file, 0, SEEK_END)) length = ftell(file);
  if (length >= 0 && !fseek(file, 0, SEEK_SET)) content = malloc((size_t)length + 1);
  *size = content ? fread(content, 1, (size_t)length, file) : 0;
  if (content && *size != (size_t)length) free(content), content = NULL;
  if (file) fclose(file);
  return content;
}

/* A golden's file of `size` bytes (0: any); what is missing or of another size is a failure. */
static void *read_golden(run *r, const char *name, const char *tensor, const char *kind, size_t *size) {
  char path[1024];
  size_t found;
  void *content = NULL;
  if (snprintf(path, sizeof path, "%s/%s.%s.%s", r->goldens, name, tensor, kind) < (int)sizeof path)
    content = read_file(path, &found);
  if (content && *size && found != *size) free(content), content = NULL;
  if (!content) fail(r, name, "raw", path);
  if (content) *size = found;
  return content;
}

static uint32_t sum_crc32(const uint8_t *bytes, size_t count) {
  uint32_t sum = 0xffffffffu;
  for (size_t i = 0; i < count; i++) {
    sum ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
  }
  return ~sum;
}

static const char *describe(es_status status) {
  static const char *const texts[] = {"",
                                      "a size that this input does not take",
                                      "channels that this input does not take",
                                      "an orientation that is not 1 to 8",
                                      "a sample rate that this input does not take",
                                      "a text that is neither a number nor a value of its column"};
  return texts[status];
}

/* The lines of a table's golden as texts, to be freed; they lie in `content`, whose line ends are overwritten. */
static const char **split_lines(char *content, size_t bytes, size_t *count) {
  const char **lines = calloc(bytes + 1, sizeof *lines);
  char *start = content;
  *count = 0;
  for (size_t i = 0; lines && i < bytes; i++) {
    if (content[i] != '\n') continue;
    content[i] = 0;
    lines[(*count)++] = start;
    start = content + i + 1;
  }
  return lines;
}

static void replay_input(run *r, const es_case *golden, size_t index) {
  const es_input *input = &r->contract->inputs[index];
  es_raw raw = golden->inputs[index];
  char detail[160];
  size_t bytes = input->kind == ES_IMAGE ? (size_t)raw.height * (size_t)raw.width * (size_t)raw.channels : 0;
  size_t tensor_bytes = input->edge.size * sizeof(float);
  void *data = read_golden(r, golden->name, input->name, "raw", &bytes);
  float *wanted = read_golden(r, golden->name, input->name, "tensor", &tensor_bytes);
  float *tensor = calloc(input->edge.size, sizeof *tensor);
  const char **lines = NULL;
  if (data && wanted && tensor) {
    raw.data = data;
    raw.count = bytes / (input->kind == ES_AUDIO ? sizeof(int16_t) : sizeof(float));
    if (input->kind == ES_TABLE) raw.data = lines = split_lines(data, bytes, &raw.count);
    void *scratch = malloc(es_scratch_size(input, &raw) + 1);
    const es_status status = scratch ? es_preprocess(input, &raw, scratch, tensor) : ES_BAD_SIZE;
    size_t at = 0;
    while (!status && at < input->edge.size && !memcmp(tensor + at, wanted + at, sizeof *tensor)) at++;
    if (status || at < input->edge.size) {
      r->wrong_tensors++;
      if (!status) snprintf(detail, sizeof detail, "value %zu is %.9g, not %.9g", at, tensor[at], wanted[at]);
      fail(r, golden->name, "tensor", status ? describe(status) : detail);
    }
    es_quantize(&input->edge, tensor, r->bytes_in[index]);
    free(scratch);
  }
  free(lines);
  free(tensor);
  free(wanted);
  free(data);
}

static void compare_output(run *r, const es_case *golden, size_t index) {
  const es_output *output = &r->contract->outputs[index];
  const size_t count = output->edge.size;
  size_t bytes = count * sizeof(float), best = 0;
  char suffix[256], detail[160];
  float *values = calloc(count, sizeof *values), *wanted;
  double worst = 0; /* what is equal to the bit, NaN too, does not differ */
  snprintf(suffix, sizeof suffix, "%s", r->contract->artifact);
  for (char *at = suffix; *at; at++)
    if (*at == '/') *at = '-';
  wanted = read_golden(r, golden->name, output->name, suffix, &bytes);
  if (values && wanted) {
    es_dequantize(&output->edge, r->bytes_out[index], values);
    for (size_t i = 0; i < count; i++) {
      const double error = fabs((double)values[i] - (double)wanted[i]);
      if (!(error <= worst) && memcmp(values + i, wanted + i, sizeof *values)) worst = isnan(error) ? INFINITY : error;
    }
    if (worst > r->errors[index]) r->errors[index] = worst;
    snprintf(detail, sizeof detail, "%.60s is off by %.3g, allowed are %.3g", output->name, worst, output->tolerance);
    if (!(worst <= output->tolerance)) fail(r, golden->name, "output", detail);
    es_top(values, count, 1, &best);
    if (golden->label && golden->clear && output->labels && best < output->label_count &&
        strcmp(output->labels[best], golden->label)) {
      snprintf(detail, sizeof detail, "%.60s, not %.60s", output->labels[best], golden->label);
      fail(r, golden->name, "label", detail);
    }
  }
  free(wanted);
  free(values);
}

/* Goldens may hold no halves: numbers that do, with the integers that they must become. */
static void check_rounding(run *r) {
  static const float values[] = {0.25f, 0.75f, 1.25f, -0.25f, -0.75f, 1e9f, -1e9f, 61.75f};
  static const int8_t wanted[] = {3, 5, 5, 3, 1, 127, -128, 127};
  const es_edge edge = {0, ES_INT8, 8, 0.5f, 3};
  int8_t quantized[8];
  es_quantize(&edge, values, quantized);
  if (memcmp(quantized, wanted, sizeof wanted)) {
    r->wrong_tensors++;
    fail(r, "rounding", "tensor", "quantize does not round halves to even, add the zero point, or keep to the range");
  }
}

static void run_cases(run *r) {
  const es_contract *contract = r->contract;
  check_rounding(r);
  for (size_t k = 0; k < contract->case_count; k++) {
    const es_case *golden = &contract->cases[k];
    const int before = r->failures;
    for (size_t i = 0; i < contract->input_count; i++) replay_input(r, golden, i);
    if (r->failures > before) continue; /* the model was not given what it should have been */
    if (!r->engine || es_engine_run(r->engine, (const void *const *)r->bytes_in, r->bytes_out)) {
      if (r->engine) fail(r, golden->name, "output", "the engine failed");
      continue;
    }
    for (size_t i = 0; i < contract->output_count; i++) compare_output(r, golden, i);
  }
}

static int reserve(run *r) {
  const es_contract *contract = r->contract;
  int whole = 1;
  r->bytes_in = calloc(contract->input_count + 1, sizeof *r->bytes_in);
  r->bytes_out = calloc(contract->output_count + 1, sizeof *r->bytes_out);
  r->errors = calloc(contract->output_count + 1, sizeof *r->errors);
  if (!r->bytes_in || !r->bytes_out || !r->errors) return 0;
  for (size_t i = 0; i < contract->output_count; i++) r->errors[i] = -1;
  for (size_t i = 0; i < contract->input_count; i++)
    whole &= (r->bytes_in[i] = calloc(1, es_edge_bytes(&contract->inputs[i].edge))) != NULL;
  for (size_t i = 0; i < contract->output_count; i++)
    whole &= (r->bytes_out[i] = calloc(1, es_edge_bytes(&contract->outputs[i].edge))) != NULL;
  return whole;
}

static void release(run *r) {
  for (size_t i = 0; r->bytes_in && i < r->contract->input_count; i++) free(r->bytes_in[i]);
  for (size_t i = 0; r->bytes_out && i < r->contract->output_count; i++) free(r->bytes_out[i]);
  free(r->bytes_in);
  free(r->bytes_out);
  free(r->errors);
}

static void print_head(const run *r, const char *device) {
  const char *const names[] = {"bundle", "artifact", "artifactDigest", "engine", "device"};
  const es_contract *contract = r->contract;
  const char *const values[] = {contract->bundle, contract->artifact, contract->digest, es_engine_name(), device};
  fputs("{\"schema\": 1, \"kind\": \"edgeship-selftest\", \"client\": \"c\",", r->out);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    fprintf(r->out, "\n \"%s\": ", names[i]);
    print_text(r->out, values[i]);
    fputc(',', r->out);
  }
  fprintf(r->out, "\n \"samples\": %zu,\n \"failures\": [", contract->case_count);
}

static void print_tail(const run *r) {
  fputs("],\n \"outputs\": {", r->out);
  for (size_t i = 0; i < r->contract->output_count; i++) {
    const es_output *output = &r->contract->outputs[i];
    fputs(i ? ",\n  " : "\n  ", r->out);
    print_text(r->out, output->name);
    if (r->errors[i] >= 0 && r->errors[i] < INFINITY)
      fprintf(r->out, ": {\"maxAbsError\": %.9g", r->errors[i]);
    else
      fputs(": {\"maxAbsError\": null", r->out);
    fprintf(r->out, ", \"tolerance\": %.9g, \"passed\": %s}", output->tolerance,
            r->errors[i] >= 0 && r->errors[i] <= output->tolerance ? "true" : "false");
  }
  fprintf(r->out, "},\n \"preprocessing\": %s,\n \"passed\": %s}\n", r->wrong_tensors ? "false" : "true",
          r->failures ? "false" : "true");
}

int es_selftest(const es_contract *contract, const char *model, const char *goldens, const char *device, FILE *out) {
  run r = {contract, goldens, NULL, out, 0, 0, NULL, NULL, NULL};
  const char *problem = "the file cannot be read";
  size_t size = 0;
  uint8_t *bytes = read_file(model, &size);
  print_head(&r, device);
  if (bytes && (size != contract->model_size || sum_crc32(bytes, size) != contract->checksum))
    fail(&r, "model", "model", "another file than this client was generated for");
  if (bytes) r.engine = es_engine_open(contract, bytes, size, 1, &problem);
  if (!r.engine) fail(&r, "model", "model", problem);
  if (reserve(&r))
    run_cases(&r);
  else
    fail(&r, "model", "output", "out of memory");
  print_tail(&r);
  if (r.engine) es_engine_close(r.engine);
  release(&r);
  free(bytes);
  return !r.failures;
}
