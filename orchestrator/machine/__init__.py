"""What every program here needs of the machine: folders of our own, file systems, processes, output streams.

Imports the standard library only, so that the trainer may import it too.
"""
