"""Groups and their units: many experiments asked for at once, counted and compared together."""
