#include "edgeship.h"

#include <math.h>
#include <string.h>

/* Nearest integer, halves upwards; d > 0. */
static int64_t floor_div(int64_t t, int64_t d) { return t / d - (t % d < 0); }
static int64_t round_div(int64_t t, int64_t d) { return floor_div(2 * t + d, 2 * d); }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- pictures: orientation, opacity, grey and inversion are applied as rows are read ---- */

typedef struct {
  const uint8_t *pixels;
  int64_t first, step_y, step_x; /* in pixels, after orientation */
  int height, width, stored;     /* `stored`: channels in memory */
  int invert, border;
} picture;

static void orient(picture *p, int orientation, int64_t h, int64_t w) {
  const int64_t last_row = (h - 1) * w, last = h * w - 1, last_column = w - 1;
  const int64_t ways[8][3] = {{0, w, 1}, {last_column, w, -1}, {last, -w, -1}, {last_row, -w, 1},
                              {0, 1, w}, {last_row, 1, -w},    {last, -1, -w}, {last_column, -1, w}};
  p->first = ways[orientation - 1][0];
  p->step_y = ways[orientation - 1][1];
  p->step_x = ways[orientation - 1][2];
  p->height = (int)(orientation > 4 ? w : h);
  p->width = (int)(orientation > 4 ? h : w);
}

/* `count` pixels from (x, y) on as the model's channels. */
static void read_pixels(const es_input *in, const picture *p, int y, int x, int count, uint8_t *out) {
  const int red = in->swap ? 2 : 0;
  for (int i = 0; i < count; i++, out += in->channels) {
    const uint8_t *at = p->pixels + (p->first + y * p->step_y + (x + i) * p->step_x) * p->stored;
    uint32_t v[3] = {at[0], at[p->stored > 1 ? 1 : 0], at[p->stored > 1 ? 2 : 0]};
    if (p->stored == 4)
      for (int c = 0; c < 3; c++) v[c] = (2 * (v[c] * at[3] + (uint32_t)in->flatten * (255u - at[3])) + 255) / 510;
    if (in->channels == 1 && p->stored > 1)
      v[0] = (2 * (in->grey[0] * v[0] + in->grey[1] * v[1] + in->grey[2] * v[2]) + 1000) / 2000;
    for (int c = 0; c < in->channels; c++) {
      const uint32_t value = v[in->channels == 1 ? 0 : c == 1 ? 1 : c == 0 ? red : 2 - red];
      out[c] = (uint8_t)(p->invert ? 255 - value : value);
    }
  }
}

static const uint8_t *read_row(const es_input *in, const picture *p, int y, uint8_t *buffer) {
  if (p->step_x == 1 && p->stored == in->channels && !p->invert && !in->swap)
    return p->pixels + (p->first + y * p->step_y) * p->stored; /* it lies in memory as the model wants it */
  read_pixels(in, p, y, 0, p->width, buffer);
  return buffer;
}

/* The sum of the values on the outermost ring, each pixel once; `count` is how many. */
static int64_t sum_rim(const es_input *in, const picture *p, int64_t *count) {
  int64_t sum = 0;
  *count = 0;
  for (int y = 0; y < p->height; y++) {
    const int step = y == 0 || y == p->height - 1 || p->width == 1 ? 1 : p->width - 1;
    for (int x = 0; x < p->width; x += step) {
      uint8_t v[3];
      read_pixels(in, p, y, x, 1, v);
      for (int c = 0; c < in->channels; c++) sum += v[c];
      *count += in->channels;
    }
  }
  return sum;
}

static es_status open_picture(const es_input *in, const es_raw *raw, picture *p) {
  const int orientation = in->orient && raw->orientation ? raw->orientation : 1;
  int64_t count, sum;
  if (raw->height < 1 || raw->width < 1) return ES_BAD_SIZE;
  if (orientation < 1 || orientation > 8) return ES_BAD_ORIENTATION;
  if (raw->channels != 1 && raw->channels != 3 && (raw->channels != 4 || in->flatten < 0)) return ES_BAD_CHANNELS;
  p->pixels = raw->data;
  p->stored = raw->channels;
  p->invert = 0;
  orient(p, orientation, raw->height, raw->width);
  p->border = in->border;
  if (!p->pixels || (in->invert == ES_NEVER && in->border >= 0)) return ES_OK;
  sum = sum_rim(in, p, &count);
  p->invert = in->invert == ES_DARK ? 2 * sum > 255 * count : in->invert == ES_LIGHT && 2 * sum < 255 * count;
  if (in->border < 0) p->border = (int)round_div(p->invert ? 255 * count - sum : sum, count);
  return ES_OK;
}

/* Memory that the caller lends. */
typedef struct {
  uint64_t *sums, *covered; /* width x channels; width: how much of the picture a target column covers */
  uint32_t *across;         /* width x channels: a source row, summed along x */
  uint32_t *taps_x, *taps_y;
  float *levels;   /* 256 x channels */
  uint8_t *row[2]; /* source rows */
  uint8_t *middle; /* source rows of the target's width */
  uint8_t *line;   /* a target row */
} workspace;

static void *take(uint8_t *base, size_t *used, size_t bytes) {
  const size_t at = *used;
  *used = at + (bytes + 15) / 16 * 16;
  return base ? base + at : NULL;
}

static size_t plan(const es_input *in, const picture *p, uint8_t *base, workspace *w) {
  const size_t values = (size_t)in->width * (size_t)in->channels, source = (size_t)p->width * (size_t)in->channels;
  size_t used = 0;
  memset(w, 0, sizeof *w);
  w->levels = take(base, &used, 256 * sizeof(float) * (size_t)in->channels);
  w->row[0] = take(base, &used, source);
  w->row[1] = take(base, &used, source);
  w->line = take(base, &used, values);
  if (in->resampler == ES_AREA) {
    w->sums = take(base, &used, values * sizeof(uint64_t));
    w->across = take(base, &used, values * sizeof(uint32_t));
    w->covered = take(base, &used, (size_t)in->width * sizeof(uint64_t));
  } else if (in->resampler == ES_PIL_BILINEAR) { /* taps: at most t (2 max(m, t) / t + 5) for a content of t pixels */
    w->taps_x = take(base, &used, 4 * (size_t)(2 * larger(p->width, in->width) + 5 * in->width));
    w->taps_y = take(base, &used, 4 * (size_t)(2 * larger(p->height, in->height) + 5));
    w->middle = take(base, &used, (size_t)p->height * values);
  }
  return used;
}

/* The affine step. The product is rounded before the sum: no fused multiply-add. */
static float shift(const es_input *in, size_t channel, float value) {
  const size_t k = in->affine > 1 ? channel : 0;
  volatile float product;
  if (!in->affine) return value;
  product = value * in->multiply[k];
  return product + in->add[k];
}

static void write_line(const es_input *in, const uint8_t *line, const float *levels, int y, float *tensor) {
  float *out = tensor + (size_t)y * (size_t)in->width * (size_t)in->channels;
  for (int x = 0; x < in->width; x++)
    for (int c = 0; c < in->channels; c++) *out++ = levels[c * 256 + *line++];
}

/* ---- area: each target pixel is the mean of what it covers, rounded once ---- */

typedef struct {
  int64_t n, d, first; /* target pixel t covers [(t - first) d, (t + 1 - first) d) in 1/n source pixels */
} axis;

/* The overlap of source pixel i with [from, to), both in 1/n source pixels. */
static int64_t overlap(int64_t i, int64_t n, int64_t from, int64_t to) {
  return smaller((i + 1) * n, to) - larger(i * n, from);
}

static void sum_across(const uint8_t *row, axis x, int width, const es_input *in, workspace *w) {
  const int channels = in->channels;
  for (int t = 0; t < in->width; t++) {
    const int64_t from = larger((t - x.first) * x.d, 0), to = smaller((t + 1 - x.first) * x.d, width * x.n);
    uint32_t *sums = w->across + (size_t)t * (size_t)channels, inner[3] = {0, 0, 0};
    memset(sums, 0, (size_t)channels * sizeof *sums);
    w->covered[t] = (uint64_t)larger(to - from, 0);
    if (to <= from) continue;
    const int64_t i = from / x.n, last = (to - 1) / x.n;
    const uint8_t *v = row + i * channels, *end = row + last * channels;
    const uint32_t head = (uint32_t)overlap(i, x.n, from, to),
                   tail = i < last ? (uint32_t)overlap(last, x.n, from, to) : 0;
    for (int c = 0; c < channels; c++) sums[c] = head * v[c] + tail * end[c];
    for (v += channels; v < end; v += channels) {
      inner[0] += v[0];
      if (channels == 3) inner[1] += v[1], inner[2] += v[2];
    }
    for (int c = 0; c < channels; c++) sums[c] += (uint32_t)x.n * inner[c];
  }
}

static axis scale_axis(int from, int to, int64_t n, int64_t d) {
  return (axis){n, d, floor_div(to * d - from * n + d, 2 * d)};
}

/* N/D, the scale that `contain` and `cover` have in common: whether it is the width's. */
static int scales_by_width(const es_input *in, const picture *p) {
  return (in->fit == ES_CONTAIN) == ((int64_t)in->width * p->height <= (int64_t)in->height * p->width);
}

static void resize_area(const es_input *in, const picture *p, workspace *w, float *tensor) {
  const size_t values = (size_t)in->width * (size_t)in->channels;
  const int wide = in->fit == ES_STRETCH || scales_by_width(in, p), high = in->fit == ES_STRETCH || !wide;
  const axis x = scale_axis(p->width, in->width, wide ? in->width : in->height, wide ? p->width : p->height);
  const axis y = scale_axis(p->height, in->height, high ? in->height : in->width, high ? p->height : p->width);
  const uint64_t whole = (uint64_t)(x.d * y.d);
  int64_t summed = -1; /* the source row in `across` */
  for (int t = 0; t < in->height; t++) {
    const int64_t from = larger((t - y.first) * y.d, 0), to = smaller((t + 1 - y.first) * y.d, p->height * y.n);
    const uint64_t covered = (uint64_t)larger(to - from, 0);
    memset(w->sums, 0, values * sizeof *w->sums);
    for (int64_t j = from / y.n; j * y.n < to; j++) {
      const uint64_t weight = (uint64_t)overlap(j, y.n, from, to);
      if (j != summed) sum_across(read_row(in, p, (int)j, w->row[0]), x, p->width, in, w);
      summed = j;
      for (size_t i = 0; i < values; i++) w->sums[i] += weight * w->across[i];
    }
    for (size_t i = 0; i < values; i++) {
      const uint64_t outside = whole - covered * w->covered[i / (size_t)in->channels];
      const uint64_t sum = w->sums[i] + outside * (uint64_t)p->border;
      w->line[i] = (uint8_t)((2 * sum + whole) / (2 * whole));
    }
    write_line(in, w->line, w->levels, t, tensor);
  }
}

/* ---- bilinear: a crop of the picture becomes a content within the tensor ---- */

typedef struct {
  int left, top, width, height;
} box;

static void place(const es_input *in, const picture *p, box *crop, box *content) {
  const int wide = scales_by_width(in, p);
  const int64_t n = wide ? in->width : in->height, d = wide ? p->width : p->height;
  *crop = (box){0, 0, p->width, p->height};
  *content = (box){0, 0, in->width, in->height};
  if (in->fit == ES_CONTAIN) {
    content->width = (int)larger(1, smaller(in->width, round_div(p->width * n, d)));
    content->height = (int)larger(1, smaller(in->height, round_div(p->height * n, d)));
    content->left = (in->width - content->width) / 2;
    content->top = (in->height - content->height) / 2;
  } else if (in->fit == ES_COVER) {
    crop->width = (int)larger(1, smaller(p->width, round_div(in->width * d, n)));
    crop->height = (int)larger(1, smaller(p->height, round_div(in->height * d, n)));
    crop->left = (p->width - crop->width) / 2;
    crop->top = (p->height - crop->height) / 2;
  }
}

/* Weights of target pixel t of `to` over `from` source pixels: the first pixel, how many, and the weights in 1/2^22. */
static void weigh(int64_t from, int64_t to, int64_t t, uint32_t *out) {
  const int64_t reach = 2 * larger(from, to), centre = (2 * t + 1) * from;
  const int64_t first = larger(0, floor_div(centre - reach - to, 2 * to));
  const int64_t last = smaller(from - 1, floor_div(centre + reach - to, 2 * to) + 1);
  int64_t total = 0, start = first;
  uint32_t count = 0;
  for (int64_t i = first; i <= last; i++) {
    const int64_t apart = (2 * i + 1) * to - centre, a = reach - (apart < 0 ? -apart : apart);
    if (a > 0 && !total) start = i;
    if (a > 0) out[2 + count++] = (uint32_t)a, total += a;
  }
  out[0] = (uint32_t)start;
  out[1] = count;
  for (uint32_t i = 0; i < count; i++) out[2 + i] = (uint32_t)round_div((int64_t)out[2 + i] << 22, total);
}

static uint8_t sum_taps(const uint8_t *v, size_t step, const uint32_t *weights, uint32_t count) {
  uint64_t sum = 1u << 21;
  for (uint32_t i = 0; i < count; i++, v += step) sum += (uint64_t)weights[i] * *v;
  sum >>= 22;
  return (uint8_t)(sum > 255 ? 255 : sum);
}

static void resize_pil(const es_input *in, const picture *p, workspace *w, float *tensor) {
  const size_t channels = (size_t)in->channels;
  box crop, content;
  place(in, p, &crop, &content);
  const size_t most = (size_t)(2 * larger(crop.width, content.width) / content.width + 5),
               values = (size_t)content.width * channels;
  for (int t = 0; t < content.width; t++) weigh(crop.width, content.width, t, w->taps_x + (size_t)t * most);
  for (int y = 0; y < crop.height; y++) {
    const uint8_t *row = read_row(in, p, crop.top + y, w->row[0]) + (size_t)crop.left * channels;
    for (size_t i = 0; i < values; i++) {
      const uint32_t *tap = w->taps_x + i / channels * most;
      w->middle[(size_t)y * values + i] = sum_taps(row + tap[0] * channels + i % channels, channels, tap + 2, tap[1]);
    }
  }
  for (int t = 0; t < in->height; t++) {
    const int y = t - content.top;
    memset(w->line, p->border, (size_t)in->width * channels);
    if (y >= 0 && y < content.height) {
      weigh(crop.height, content.height, y, w->taps_y);
      for (size_t i = 0; i < values; i++)
        w->line[(size_t)content.left * channels + i] =
            sum_taps(w->middle + w->taps_y[0] * values + i, values, w->taps_y + 2, w->taps_y[1]);
    }
    write_line(in, w->line, w->levels, t, tensor);
  }
}

static void resize_tf(const es_input *in, const picture *p, workspace *w, float *tensor) {
  const int channels = in->channels;
  box crop, content;
  place(in, p, &crop, &content);
  for (int t = 0; t < in->height; t++) {
    memset(w->line, p->border, (size_t)in->width * (size_t)channels);
    if (t >= content.top && t < content.top + content.height) {
      const int64_t m = 2 * content.height, at = (2 * (int64_t)(t - content.top) + 1) * crop.height - content.height;
      const int64_t i = floor_div(at, m), below = at - m * i, last = crop.height - 1;
      const uint8_t *one = read_row(in, p, crop.top + (int)smaller(larger(i, 0), last), w->row[0]);
      const uint8_t *two = read_row(in, p, crop.top + (int)smaller(larger(i + 1, 0), last), w->row[1]);
      for (int x = 0; x < content.width; x++) {
        const int64_t n = 2 * content.width, from = (2 * (int64_t)x + 1) * crop.width - content.width;
        const int64_t j = floor_div(from, n), right = from - n * j, end = crop.width - 1;
        const int64_t a = (crop.left + smaller(larger(j, 0), end)) * channels;
        const int64_t b = (crop.left + smaller(larger(j + 1, 0), end)) * channels;
        for (int c = 0; c < channels; c++) {
          const int64_t high = (n - right) * one[a + c] + right * one[b + c];
          const int64_t low = (n - right) * two[a + c] + right * two[b + c];
          w->line[(content.left + x) * channels + c] = (uint8_t)round_div((m - below) * high + below * low, m * n);
        }
      }
    }
    write_line(in, w->line, w->levels, t, tensor);
  }
}

static es_status read_numbers(const es_input *in, const es_raw *raw, float *tensor) {
  const float *values = in->kind == ES_TABLE ? tensor : raw->data;
  if (raw->count != in->edge.size) return ES_BAD_SIZE;
  if (in->kind == ES_TABLE && es_read_table(in, raw, tensor)) return ES_BAD_VALUE;
  for (size_t i = 0; i < raw->count; i++) tensor[i] = shift(in, i % (size_t)in->channels, values[i]);
  return ES_OK;
}

static es_status read_audio(const es_input *in, const es_raw *raw, float *tensor) {
  const int16_t *samples = raw->data;
  const size_t channels = (size_t)in->channels, kept = in->mono ? 1 : channels;
  if (raw->rate && in->rate && raw->rate != in->rate) return ES_BAD_RATE;
  if (raw->count % channels) return ES_BAD_SIZE;
  for (size_t i = 0; i < in->edge.size; i++) { /* zeros behind the end */
    const size_t at = i / kept * channels + (in->mono ? 0 : i % kept);
    int64_t value = at < raw->count ? samples[at] : 0;
    if (in->mono && at < raw->count) {
      for (size_t c = 1; c < channels; c++) value += samples[at + c];
      value = round_div(value, (int64_t)channels);
    }
    tensor[i] = shift(in, i % kept, (float)value);
  }
  return ES_OK;
}

size_t es_scratch_size(const es_input *input, const es_raw *raw) {
  const es_raw shape = {NULL, raw->height, raw->width, raw->channels, raw->orientation, 0, 0};
  picture p;
  workspace w;
  if (input->kind != ES_IMAGE || open_picture(input, &shape, &p)) return 0;
  return plan(input, &p, NULL, &w);
}

es_status es_preprocess(const es_input *input, const es_raw *raw, void *scratch, float *tensor) {
  picture p;
  workspace w;
  es_status status = ES_OK;
  if (input->kind == ES_AUDIO) return read_audio(input, raw, tensor);
  if (input->kind == ES_TEXT) return es_read_text(input, raw, tensor);
  if (input->kind != ES_IMAGE) return read_numbers(input, raw, tensor);
  if ((status = open_picture(input, raw, &p))) return status;
  plan(input, &p, scratch, &w);
  for (int i = 0; i < 256 * input->channels; i++) w.levels[i] = shift(input, (size_t)i / 256, (float)(i % 256));
  if (input->resampler == ES_AREA) resize_area(input, &p, &w, tensor);
  if (input->resampler == ES_PIL_BILINEAR) resize_pil(input, &p, &w, tensor);
  if (input->resampler == ES_TF_BILINEAR) resize_tf(input, &p, &w, tensor);
  return ES_OK;
}

static const int64_t LOWEST[] = {0, -128, 0, -32768, INT32_MIN}, HIGHEST[] = {0, 127, 255, 32767, INT32_MAX};
static const size_t BYTES[] = {4, 1, 1, 2, 4};

size_t es_edge_bytes(const es_edge *edge) { return edge->size * BYTES[edge->dtype]; }

void es_quantize(const es_edge *edge, const float *values, void *bytes) {
  if (edge->dtype == ES_FLOAT32) memcpy(bytes, values, edge->size * sizeof *values);
  for (size_t i = 0; edge->dtype != ES_FLOAT32 && i < edge->size; i++) {
    const float steps = edge->scale > 0 ? (float)(values[i] / edge->scale) : values[i];
    const double rounded = nearbyint(steps) + edge->zero_point; /* halves to the even neighbour */
    const double low = (double)LOWEST[edge->dtype], high = (double)HIGHEST[edge->dtype];
    const int32_t q = (int32_t)(rounded >= low ? (rounded <= high ? rounded : high) : low);
    if (edge->dtype == ES_INT8) ((int8_t *)bytes)[i] = (int8_t)q;
    if (edge->dtype == ES_UINT8) ((uint8_t *)bytes)[i] = (uint8_t)q;
    if (edge->dtype == ES_INT16) ((int16_t *)bytes)[i] = (int16_t)q;
    if (edge->dtype == ES_INT32) ((int32_t *)bytes)[i] = q;
  }
}

void es_dequantize(const es_edge *edge, const void *bytes, float *values) {
  if (edge->dtype == ES_FLOAT32) memcpy(values, bytes, edge->size * sizeof *values);
  for (size_t i = 0; edge->dtype != ES_FLOAT32 && i < edge->size; i++) {
    const int32_t q = edge->dtype == ES_INT8    ? ((const int8_t *)bytes)[i]
                      : edge->dtype == ES_UINT8 ? ((const uint8_t *)bytes)[i]
                      : edge->dtype == ES_INT16 ? ((const int16_t *)bytes)[i]
                                                : ((const int32_t *)bytes)[i];
    values[i] = edge->scale > 0 ? (float)(q - edge->zero_point) * edge->scale : (float)q;
  }
}

size_t es_top(const float *values, size_t count, size_t k, size_t *indices) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++) {
    size_t at = found < k ? found++ : k;
    for (; at > 0 && values[i] > values[indices[at - 1]]; at--)
      if (at < k) indices[at] = indices[at - 1];
    if (at < k) indices[at] = i;
  }
  return found;
}
