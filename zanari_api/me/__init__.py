"""What needs all of a saver at once: making one, and the whole of the saver's money in one view."""
