"""Life in fast motion: savers, faults and dying workers over the whole service, to see whether a promise breaks."""
