"""Proves that our floats equal Safaricom's books, or names the difference. Moves money only where an operator says so."""
