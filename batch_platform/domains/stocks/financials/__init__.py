"""Corporation codes, financial statements, ratios and valuations."""
