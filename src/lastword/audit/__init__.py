"""The audit: what people and programs are told of a spool. Takes no lock and changes nothing."""
