"""The documentation site: `make docs` builds it from docs/ and from pages elsewhere in the repository.

hooks               what mkdocs calls
repository          which files are pages, and where a link to any other file leads
command_reference   all commands and options, from their parsers
notebook            a Jupyter notebook as Markdown
"""
