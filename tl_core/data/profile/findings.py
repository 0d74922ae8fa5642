"""What a profile's figures mean, in plain words."""
