"""What other libraries make of the drift benchmark's streams, each in an environment of its own."""
