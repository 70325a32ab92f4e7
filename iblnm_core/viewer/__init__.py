"""The live view of a session: what is stored, drawn for the screen. Nothing is computed here that an asset computes."""
