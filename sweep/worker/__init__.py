"""The pod's door: a round and a pack in, records out."""
