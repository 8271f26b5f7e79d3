"""Forms: an option becomes fields, and fields an option."""
