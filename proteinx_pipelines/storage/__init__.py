"""Where data that a message refers to lies: an interface, and the local folders behind it today."""
