"""Evidence -> Verdict -> Action: transition table, blame, retraining, silence."""
