"""The conductor: open a study, follow it, collect it, finish it."""
