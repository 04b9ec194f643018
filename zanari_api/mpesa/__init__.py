"""The inbound rail: signed spends and callbacks, checked, read and handed on to the slices below."""
