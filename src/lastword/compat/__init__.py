"""Drop-ins: the calls and the payloads of other packages, on lastword's machinery. One import line changes."""
