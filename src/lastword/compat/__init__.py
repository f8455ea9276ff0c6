"""Drop-ins: what programs import in place of another package, and go on calling as before."""
