"""The API of ES Loyalty, noun by noun, onto our own commands and reads."""
