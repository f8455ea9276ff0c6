"""Scope: data that the program sets about its current work, added to every event captured meanwhile."""
