/* Answers of es_decide as JSON, a line a case; the test writes cases.h. */
#include <stdio.h>

#include "edgeship.h"

#define LIST(...) __VA_ARGS__
#define OPEN(...) __VA_ARGS__
#define CASE(LABELS, LABEL_COUNT, SCORES, COUNT, DECISION)                                        \
  {                                                                                               \
    const char *const labels[] = {OPEN LABELS};                                                   \
    float scores[] = {OPEN SCORES};                                                               \
    const es_output output = {.labels = labels,                                                   \
                              .label_count = LABEL_COUNT,                                         \
                              .decision = {OPEN DECISION},                                        \
                              .edge = {.size = COUNT}};                                           \
    show(&output, scores);                                                                        \
  }

static void show(const es_output *output, float *scores) {
  es_answer answers[2];
  const size_t found = es_decide(output, scores, 2, answers);
  putchar('[');
  for (size_t i = 0; i < found; i++)
    printf("%s[%zu, \"%s\", %.9g]", i ? ", " : "", answers[i].index, answers[i].label ? answers[i].label : "",
           (double)answers[i].score);
  puts("]");
}

int main(void) {
#include "cases.h"
  return 0;
}
