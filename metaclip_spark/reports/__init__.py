"""What a run says: report, data card, thresholds, explanations."""
