"""What a saver saves for: goals, money moved in and out of them by hand, milestones. Knows no round-ups."""
