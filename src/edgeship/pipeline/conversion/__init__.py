"""From a server model to artifacts: which are asked for, the steps to each, and the run of them."""
