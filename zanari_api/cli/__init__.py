"""The `zanari` command: verbs for developers and operators. Each says what it did, or what to do about it."""
