"""Templates to text. The only room that knows Jinja.

Rendering is a pure function of the snapshot and the templates: no clock, no network, no random
number, and every file is read when the renderer is built. A value that came from the store cannot
become configuration: each print is quoted unless the template says `raw`.
"""
