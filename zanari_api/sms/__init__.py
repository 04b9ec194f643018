"""A text message gateway's HTTP and JSON, and nothing else. Knows nothing of Zanari."""
