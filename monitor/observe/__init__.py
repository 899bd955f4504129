"""Batch -> Summary: sums that add up, so that order, batching and partitions do not matter."""
