"""The nouns of a trigger: what a message is made of once its bytes have been read."""
