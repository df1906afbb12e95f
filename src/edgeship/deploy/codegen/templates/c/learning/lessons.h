/* What the self-test asks of learning. */
#ifndef EDGESHIP_LESSONS_H
#define EDGESHIP_LESSONS_H

#include <stddef.h>

#include "../edgeship.h"

/* Whether features are those of the goldens, and two lessons end as they do in edgeship: `model` is the path beside which
 * head/ lies. Returns 1 where all is so; else `problem` says what is not. */
int es_check_learning(const es_contract *contract, const char *model, const char *goldens, char *problem, size_t size);

#endif
