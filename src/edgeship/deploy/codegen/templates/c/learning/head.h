/* The head of this model, which is learned: see head.c. */
#ifndef EDGESHIP_LEARNED_HEAD_H
#define EDGESHIP_LEARNED_HEAD_H

#include "learner.h"

extern const es_head es_head_of_model;

#endif
