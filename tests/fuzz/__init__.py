"""Hostile input to everything that reads what others may have written: files of the spool, a tracker's answers,
settings, what a hook returns, and the commands over spools that were tampered with.
"""
