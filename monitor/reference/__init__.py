"""Conditions -> a page of the Book: what is normal here."""
