"""The read half: one elected process sends the events that all other processes have recorded, and settles them.

Only the holder of ``flusher.lock`` deletes, settles or moves anything in the spool.
"""
