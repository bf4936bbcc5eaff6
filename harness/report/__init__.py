"""Shows a test that was judged: on the terminal, as a page, as JUnit XML.

All of it is made from the stored files alone, so that it can be made again at any time.
"""
