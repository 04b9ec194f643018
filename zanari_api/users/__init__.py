"""Who saves: profile, the M-PESA numbers proven to be theirs, the lock that guards their money. Moves no money."""
