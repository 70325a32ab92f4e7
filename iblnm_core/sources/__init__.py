"""Where sessions come from: one small protocol and its implementations."""
