"""The read half: one elected process that sends what all the others have written, and settles it.

Only the holder of ``flusher.lock`` deletes, settles or moves anything in the spool.
"""
