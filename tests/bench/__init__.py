"""Measurements: each module measures one thing, prints what it saw, and says whether that is within its limit."""
