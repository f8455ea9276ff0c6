"""Hooks: where Python, logging and multiprocessing let us hear of failures; each calls what was there before."""
