"""The event stream: messages out to a broker, beside webhooks; shops' events in from one, faster than a shop may post."""
