"""Hooks into Python, logging and multiprocessing that report failures; each calls the hook that was there before."""
