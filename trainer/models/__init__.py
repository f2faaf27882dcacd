"""The segmentation network: backbone, head and projection. Imports torch and timm, and of the trainer only errors."""
