"""Salesforce Loyalty Management."""
