"""Scope: what the program says of its work, for every event that it captures meanwhile."""
