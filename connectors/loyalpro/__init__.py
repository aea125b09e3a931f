"""LoyalPro: customers, points and redemptions, under `/loyalpro/v1`, and its webhooks."""
