"""Alerts: what a subscriber must not miss, as queries, authors, institutions and cited papers."""
