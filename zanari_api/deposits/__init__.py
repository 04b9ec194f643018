"""Money in over M-PESA: credited to a saver, or held in suspense. Whose it is, is decided above."""
