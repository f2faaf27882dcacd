"""Looks at a folder of images and labels and proposes a description of it."""
