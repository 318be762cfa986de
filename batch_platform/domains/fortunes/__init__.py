"""Fortunes: tomorrow's, for every active user of the app, before midnight."""
