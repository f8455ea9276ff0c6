"""Wire formats: pure translations from the neutral Event to what one kind of tracker expects."""
