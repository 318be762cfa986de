"""Emotions of posts, by provider batches that survive everything."""
