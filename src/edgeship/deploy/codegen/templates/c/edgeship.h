/* The core of a client: from what an app has in hand to the model's tensors, and from its outputs to answers.
 * The same for every model; what differs is in contract.c. C99, no allocation: the caller lends the memory. */
#ifndef EDGESHIP_H
#define EDGESHIP_H

#include <stddef.h>
#include <stdint.h>

typedef enum { ES_IMAGE, ES_AUDIO, ES_WINDOW, ES_TABLE, ES_TEXT, ES_TENSOR } es_kind;
typedef enum { ES_STRETCH, ES_CONTAIN, ES_COVER } es_fit;
typedef enum { ES_AREA, ES_PIL_BILINEAR, ES_TF_BILINEAR } es_resampler;
typedef enum { ES_NEVER, ES_DARK, ES_LIGHT } es_ground;
typedef enum { ES_FLOAT32, ES_INT8, ES_UINT8, ES_INT16, ES_INT32 } es_dtype;
typedef enum { ES_OK, ES_BAD_SIZE, ES_BAD_CHANNELS, ES_BAD_ORIENTATION, ES_BAD_RATE, ES_BAD_VALUE } es_status;

/* How a tensor lies in the model's file: its position among the inputs or outputs, and its quantization. */
typedef struct {
  int index;
  es_dtype dtype;
  size_t size; /* values */
  float scale; /* 0: not quantized */
  int32_t zero_point;
} es_edge;

/* A column of a table: a number, or a category that becomes its place in `values`; `unknown`: of any other, -1:
 * refused; `missing`: of a number without text, where `has_missing`. */
typedef struct {
  const char *const *values; /* NULL: a number */
  size_t value_count;
  int unknown;
  int has_missing;
  float missing;
} es_column;

/* An input: the steps from raw data to its tensor, in this order. */
typedef struct {
  const char *name;
  es_kind kind;
  int orient;                  /* 1: the orientation that the camera wrote (EXIF) is applied */
  int flatten;                 /* 0..255: the ground under what is transparent; -1: no opacity is taken */
  uint32_t grey[3];            /* what red, green and blue count in grey, in thousandths */
  es_ground invert;            /* a picture whose rim is not as dark (light) as that is inverted */
  es_resampler resampler;      /* to height x width */
  es_fit fit;                  /* how the picture fills that */
  int border;                  /* 0..255: what lies around the picture; -1: the mean of its rim */
  int swap;                    /* 1: red and blue change places */
  int height, width, channels; /* image: of the tensor. Others: channels of the raw data */
  int mono;                    /* audio: 1: the mean of the channels is taken */
  int rate;                    /* audio: samples per second; 0: not stated */
  size_t affine;               /* how many channels `multiply` and `add` have */
  const float *multiply, *add;
  const es_column *columns; /* table: as many as `channels` */
  uint32_t buckets;         /* text: how many ids its words have */
  es_edge edge;
} es_input;

/* `temperature` 0: none; `logits`: scores are not probabilities yet. Without `has_threshold` every score counts. */
typedef struct {
  int has_threshold, logits;
  float threshold, temperature;
} es_decision;

typedef struct {
  const char *name;
  const char *const *labels; /* NULL: none */
  size_t label_count;
  float tolerance; /* largest difference of a right device from the goldens */
  es_decision decision;
  es_edge edge;
} es_output;

typedef struct {
  size_t index;
  const char *label; /* NULL: none */
  float score;
} es_answer;

/* What an app has in hand. Image: uint8, row by row, 1, 3 (red, green, blue) or 4 (with opacity) channels. Audio:
 * int16, interleaved. Table: `const char *const *`, the text of each column. Text: UTF-8. Others: float32. `count`:
 * values, of a text bytes, of all kinds but images. `orientation`: EXIF, 1 to 8. `rate` 0: unknown. */
typedef struct {
  const void *data;
  int height, width, channels, orientation;
  size_t count;
  int rate;
} es_raw;

/* A golden: raw data with the label that it must get; `clear`: whether every right device gives that label. */
typedef struct {
  const char *name;
  const es_raw *inputs; /* without data: that lies in goldens/<name>.<input>.raw */
  const char *label;    /* NULL: none */
  int clear;
} es_case;

typedef struct {
  const char *name, *bundle, *artifact, *digest;
  size_t model_size; /* bytes */
  uint32_t checksum; /* of the model's file: CRC-32 */
  const es_input *inputs;
  size_t input_count;
  const es_output *outputs;
  size_t output_count;
  const es_case *cases;
  size_t case_count;
} es_contract;

/* Bytes of memory that es_preprocess needs for this picture; 0 where it needs none. */
size_t es_scratch_size(const es_input *input, const es_raw *raw);

/* Fill `tensor` (input->edge.size values). `scratch` is aligned as by malloc. */
es_status es_preprocess(const es_input *input, const es_raw *raw, void *scratch, float *tensor);

/* The numbers of a row of texts, before the affine step (table.c). */
es_status es_read_table(const es_input *input, const es_raw *raw, float *numbers);

/* The ids of a text's first words, zeros after the end; ES_BAD_VALUE where it is no UTF-8 (table.c). */
es_status es_read_text(const es_input *input, const es_raw *raw, float *ids);

/* The bytes that the model takes, es_edge_bytes of them, from a tensor; and an output's numbers from its bytes. */
void es_quantize(const es_edge *edge, const float *values, void *bytes);
void es_dequantize(const es_edge *edge, const void *bytes, float *values);
size_t es_edge_bytes(const es_edge *edge);

/* The indices of the `k` largest values, the largest first; of equal ones the first. Returns how many there are. */
size_t es_top(const float *values, size_t count, size_t k, size_t *indices);

/* The `k` best answers of an output's `scores`, which become as sure as they are right where there is a temperature;
 * none below the threshold. A score with two labels is one answer: the second label from the threshold on. (table.c) */
size_t es_decide(const es_output *output, float *scores, size_t k, es_answer *answers);

#endif
