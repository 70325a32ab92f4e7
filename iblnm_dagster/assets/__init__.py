"""Assets by concern: the upstream catalogue, the collected tables, the selection for analyses."""
