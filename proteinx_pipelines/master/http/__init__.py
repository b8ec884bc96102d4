"""The HTTP application: access, errors in one form, and one module of routes for each noun."""
