"""(Summary, what is normal) -> Evidence; one statistic a file."""
