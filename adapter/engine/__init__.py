"""The one door: everything that changes the book comes in here, is decided in a batch, and is answered when durable."""
