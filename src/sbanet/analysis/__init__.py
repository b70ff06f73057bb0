"""What runs have to say: tables, pictures and pages from run folders alone (no torch, no server)."""
