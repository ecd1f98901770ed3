"""On what: one module per kind of memory."""
