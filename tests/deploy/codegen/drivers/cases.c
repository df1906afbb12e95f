/* cases FILE: the tensors of the pictures in FILE (pictures.py) one after the other on standard output. */
#include <stdio.h>
#include <stdlib.h>

#include "edgeship.h"

int main(int count, char **arguments) {
  FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
  int32_t n[18];
  while (file && fread(n, sizeof n, 1, file) == 1) {
    float factors[6];
    const size_t pixels = (size_t)n[14] * (size_t)n[15] * (size_t)n[16], values = (size_t)(n[0] * n[1] * n[2]);
    uint8_t *data = malloc(pixels);
    float *tensor = malloc(values * sizeof *tensor);
    if (!data || !tensor || fread(factors, sizeof *factors, (size_t)n[13] * 2, file) != (size_t)n[13] * 2) return 2;
    if (fread(data, 1, pixels, file) != pixels) return 2;
    const es_input input = {"image", ES_IMAGE, n[3], n[4], {(uint32_t)n[5], (uint32_t)n[6], (uint32_t)n[7]}, (es_ground)n[8],
                            (es_resampler)n[9], (es_fit)n[10], n[11], n[12], n[0], n[1], n[2], 0, 0, (size_t)n[13], factors,
                            factors + n[13], NULL, 0, {0, ES_FLOAT32, values, 0, 0}};
    const es_raw raw = {data, n[14], n[15], n[16], n[17], 0, 0};
    void *scratch = malloc(es_scratch_size(&input, &raw));
    if (!scratch || es_preprocess(&input, &raw, scratch, tensor)) return 3;
    fwrite(tensor, sizeof *tensor, values, stdout);
    free(scratch);
    free(tensor);
    free(data);
  }
  return file ? fclose(file) : 2;
}
