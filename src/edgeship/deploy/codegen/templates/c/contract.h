/* What this client was generated for: see contract.c. */
#ifndef EDGESHIP_CONTRACT_H
#define EDGESHIP_CONTRACT_H

#include "edgeship.h"

extern const es_contract es_contract_of_model;

#endif
