"""The API of LoyalPro, noun by noun, onto our own commands and reads."""
