"""See which organisms look alike, in any part of the spectrum, without labels."""
