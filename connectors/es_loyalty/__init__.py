"""ES Loyalty: balances, reservations and purchases by sessions, under `/client`."""
