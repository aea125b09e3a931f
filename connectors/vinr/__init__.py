"""VINR: payments with loyalty, whose redemptions are taken off a payment."""
