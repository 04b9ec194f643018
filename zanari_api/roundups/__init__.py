"""A spend becomes a saving: the rule, the decision, what waits. Moves money by the ledger alone."""
