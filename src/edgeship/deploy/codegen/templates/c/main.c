/* selftest MODEL GOLDENS [DEVICE]: prints the result as JSON; exit code 0 where all passed. */
#include "contract.h"
#include "selftest.h"

int main(int count, char **arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: %s MODEL GOLDENS [DEVICE]\n", arguments[0]);
    return 2;
  }
  return !es_selftest(&es_contract_of_model, arguments[1], arguments[2], count > 3 ? arguments[3] : "this device",
                      stdout);
}
