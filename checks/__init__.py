"""Checks of what runs Zanari: alerts, books, image, environments, connections. `python -m checks --help`."""
