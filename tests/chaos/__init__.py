"""Long runs of what the suite does briefly: each module keeps one promise under fire and says how it went."""
