"""Safaricom's HTTP and JSON, and nothing else: the wire's names end here. Knows nothing of Zanari."""
