"""An emulator of Safaricom's Daraja and M-PESA over real HTTP, with books of its own. Knows nothing of our client."""
