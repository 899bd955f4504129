"""What answers for a card: exact integer programs, and the reference that they are certified against."""
