"""Plans that grow while they run: searches, and seeds that are added until a comparison is decided."""
