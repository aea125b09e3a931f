"""The loyalty event adapter: shop webhooks in, a right points ledger, signed balance webhooks out."""
