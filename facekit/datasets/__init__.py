"""Turn each dataset into one manifest, split it without leaks, and cut its faces as analysis does."""
