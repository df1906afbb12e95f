/* head.bin: the digest, the head, CRC-32 of all before. samples.bin: the digest, their count, the next number, the number of
 * each, their features, their targets, CRC-32. Little endian. */
#if defined(__unix__) || defined(__APPLE__)
#define _POSIX_C_SOURCE 200112L
#define HAS_FSYNC
#include <unistd.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

#include <stdio.h>
#include <string.h>

#include "parts.h"

enum { DIGEST = 64, LONGEST = 1024 };

/* A file that is read or written from its beginning; `sum` is the CRC-32 of what was. */
typedef struct {
  FILE *file;
  uint32_t sum;
  int whole;
} stream;

static const char HEAD[] = "head.bin", SAMPLES[] = "samples.bin", BESIDE[] = ".new";

uint32_t es_sum_crc32(uint32_t sum, const void *bytes, size_t count) {
  static const uint32_t rests[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                     0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c}; /* of four bits */
  const uint8_t *at = bytes;
  sum = ~sum;
  for (size_t i = 0; i < count; i++) {
    sum = sum >> 4 ^ rests[(sum ^ at[i]) & 15];
    sum = sum >> 4 ^ rests[(sum ^ at[i] >> 4) & 15];
  }
  return ~sum;
}

static int name_path(const es_learner *l, const char *name, const char *end, char *path) {
  return snprintf(path, LONGEST, "%s/%s%s", l->state, name, end) < LONGEST;
}

static stream open_stream(const es_learner *l, const char *name, const char *end, const char *mode) {
  char path[LONGEST];
  stream s = {NULL, 0, 0};
  if (name_path(l, name, end, path)) s.file = fopen(path, mode);
  s.whole = s.file != NULL;
  return s;
}

static void read_bytes(stream *s, void *bytes, size_t count) {
  s->whole = s->whole && fread(bytes, 1, count, s->file) == count;
  if (s->whole) s->sum = es_sum_crc32(s->sum, bytes, count);
}

static void write_bytes(stream *s, const void *bytes, size_t count) {
  s->whole = s->whole && fwrite(bytes, 1, count, s->file) == count;
  s->sum = es_sum_crc32(s->sum, bytes, count);
}

/* Whether the rest of the file is the sum of what came before. */
static int ends_well(stream *s) {
  uint32_t sum = 0;
  s->whole = s->whole && fread(&sum, 1, sizeof sum, s->file) == sizeof sum && sum == s->sum && fgetc(s->file) == EOF;
  if (s->file) fclose(s->file);
  return s->whole;
}

static int begins_well(stream *s, const es_learner *l) {
  char digest[DIGEST];
  read_bytes(s, digest, DIGEST);
  return s->whole = s->whole && !memcmp(digest, l->head->digest, DIGEST);
}

static int replace(const char *beside, const char *path) {
#ifdef _WIN32
  return MoveFileExA(beside, path, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0;
#else
  return !rename(beside, path);
#endif
}

/* Move what was written beside into place. */
static int finish(stream *s, const es_learner *l, const char *name) {
  char beside[LONGEST], path[LONGEST];
  const uint32_t sum = s->sum;
  if (!s->file || !name_path(l, name, BESIDE, beside) || !name_path(l, name, "", path)) return 0;
  write_bytes(s, &sum, sizeof sum);
  s->whole = s->whole && !fflush(s->file);
#ifdef HAS_FSYNC
  s->whole = s->whole && !fsync(fileno(s->file));
#endif
  s->whole = !fclose(s->file) && s->whole && replace(beside, path);
  if (!s->whole) remove(beside);
  return s->whole;
}

int es_read_head(es_learner *l) {
  const size_t numbers = es_head_numbers(l->head);
  stream s = open_stream(l, HEAD, "", "rb");
  if (begins_well(&s, l)) read_bytes(&s, l->learned, numbers * sizeof *l->learned);
  return ends_well(&s) && es_is_finite(l->learned, numbers);
}

int es_write_head(const es_learner *l, const float *weights) {
  stream s = open_stream(l, HEAD, BESIDE, "wb");
  if (!s.file) return 0;
  write_bytes(&s, l->head->digest, DIGEST);
  write_bytes(&s, weights, es_head_numbers(l->head) * sizeof *weights);
  return finish(&s, l, HEAD);
}

int es_read_samples(es_learner *l) {
  uint32_t counts[2] = {0, 0};
  stream s = open_stream(l, SAMPLES, "", "rb");
  if (begins_well(&s, l)) read_bytes(&s, counts, sizeof counts);
  s.whole = s.whole && counts[0] <= ES_MOST_SAMPLES;
  const size_t count = s.whole ? counts[0] : 0;
  const size_t features = count * l->head->features, targets = count * l->head->outputs;
  read_bytes(&s, l->numbers, count * sizeof *l->numbers);
  read_bytes(&s, l->features, features * sizeof *l->features);
  read_bytes(&s, l->targets, targets * sizeof *l->targets);
  if (!ends_well(&s) || !es_is_finite(l->features, features) || !es_is_finite(l->targets, targets)) return 0;
  l->samples = count;
  l->next = counts[1];
  return 1;
}

int es_write_samples(const es_learner *l) {
  const uint32_t counts[2] = {(uint32_t)l->samples, l->next};
  stream s = open_stream(l, SAMPLES, BESIDE, "wb");
  if (!s.file) return 0;
  write_bytes(&s, l->head->digest, DIGEST);
  write_bytes(&s, counts, sizeof counts);
  write_bytes(&s, l->numbers, l->samples * sizeof *l->numbers);
  write_bytes(&s, l->features, l->samples * l->head->features * sizeof *l->features);
  write_bytes(&s, l->targets, l->samples * l->head->outputs * sizeof *l->targets);
  return finish(&s, l, SAMPLES);
}

void es_delete_state(const es_learner *l, int samples) {
  char path[LONGEST];
  if (name_path(l, HEAD, "", path)) remove(path);
  if (samples && name_path(l, SAMPLES, "", path)) remove(path);
}
