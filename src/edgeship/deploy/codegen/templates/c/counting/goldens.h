/* What the self-test counts. */
#ifndef EDGESHIP_COUNTED_GOLDENS_H
#define EDGESHIP_COUNTED_GOLDENS_H

#include "../edgeship.h"

/* Count the goldens in that folder. Returns 1 where the report is that of report.json in it, to the byte. */
int es_check_counts(const es_contract *contract, const char *goldens);

#endif
