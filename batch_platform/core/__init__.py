"""What is pure: settings, days, errors, hashes, rules on personal data. Imports nothing of ours."""
