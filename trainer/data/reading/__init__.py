"""From files to checked pixels: listing, decoding, and the cache of decoded pixels. Imports `trainer.data.source`."""
