"""Decisions: what facts, members and time do to balances. Pure: no database, no clock, no network."""
