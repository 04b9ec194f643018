"""Money out over M-PESA: sent once, and settled or given back once. Whose number and which goal, is decided above."""
