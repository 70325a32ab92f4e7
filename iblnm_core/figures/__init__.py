"""What people look at: pure functions that draw stored tables, and the one way a picture is written. Nothing is computed here."""
