"""What a sweep leaves on disk, and the one writer of it."""
