"""The audit: reports about a spool, for people and programs. Takes no lock and changes nothing."""
