"""Turn trials and their records into what a person reads; see no other room."""
