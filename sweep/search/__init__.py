"""Decide what to try next, from plain values alone."""
