"""Nouns and rules of protein experiments that every part may use; nothing here is computed or stored."""
