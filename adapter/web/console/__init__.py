"""`/console`, the page for people: what the API reads and does, as pages that need no script.

A page asks the API's own routes (`visit.py`), so a key's scopes, its environment and every rule hold here as they do
there. Nothing is decided in this package.
"""
