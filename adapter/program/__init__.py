"""What a program says: data, and the pure rules that read it."""
