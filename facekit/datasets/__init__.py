"""Turn each dataset into one manifest, split it without leaks, and cut faces as analysis does."""
