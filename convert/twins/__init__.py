"""Whether two artifacts are one computation, rounded twice: their constants and operators beside each other."""
