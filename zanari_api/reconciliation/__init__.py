"""Proves that our floats equal Safaricom's books, or names the difference. Moves money only by an operator's word."""
