"""Brevo's loyalty: its API under `/v3`, its events of loyalty, and its orders as a source."""
