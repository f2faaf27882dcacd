"""What every program here needs of the machine: folders and files of our own, file systems, processes, streams.

Imports the standard library only, so that the trainer may import it too.
"""
