"""Reads: each answers one question about one environment, on a connection that the caller opened."""
