#include <stdlib.h>
#include <string.h>

#include "edgeship.h"

static size_t find_value(const es_column *column, const char *text) {
  size_t place = 0;
  while (place < column->value_count && strcmp(column->values[place], text)) place++;
  return place;
}

es_status es_read_table(const es_input *input, const es_raw *raw, float *numbers) {
  const char *const *texts = raw->data;
  for (size_t i = 0; i < raw->count; i++) {
    const es_column *column = &input->columns[i];
    if (column->values) {
      const size_t place = find_value(column, texts[i]);
      if (place == column->value_count && column->unknown < 0) return ES_BAD_VALUE;
      numbers[i] = (float)(place < column->value_count ? (int)place : column->unknown);
    } else {
      char *end;
      numbers[i] =
          (float)strtod(texts[i], &end); /* with a decimal point: the locale is C's unless the app sets another */
      if (end == texts[i] || *end) return ES_BAD_VALUE;
    }
  }
  return ES_OK;
}
