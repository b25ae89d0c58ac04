"""What can be opened: one adapter per file, and the registry."""
