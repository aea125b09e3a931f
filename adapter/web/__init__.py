"""What is served over HTTP: the receiver, the API, metrics and docs."""
