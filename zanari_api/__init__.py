"""Zanari: round-up savings on M-PESA spends. The packages below are layered; ARCHITECTURE.md draws the order."""
