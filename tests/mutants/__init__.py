"""Small changes of the source, each of which breaks the guarantee, and the tests that must notice: `-m tests.mutants`.

The lists are plain data, a module an area (`areas.py`). Adding one is an entry of what breaks, the file, the old text,
the new text and the tests of the files concerned.
"""
