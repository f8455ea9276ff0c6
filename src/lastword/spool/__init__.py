"""The spool: bytes in, bytes out. Everything that touches the spool directory is in this package."""
