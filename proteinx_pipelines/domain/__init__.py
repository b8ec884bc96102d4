"""Nouns and rules of protein experiments for use everywhere; nothing here is computed or stored."""
