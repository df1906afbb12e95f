/* What this client counts: see profile.c. */
#ifndef EDGESHIP_PROFILE_H
#define EDGESHIP_PROFILE_H

#include "counter.h"

extern const es_profile es_profile_of_model;

#endif
