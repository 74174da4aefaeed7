"""A small real server that speaks the Ultralytics Platform's API, for trying, testing and self-hosting.

It keeps its state in one SQLite file and a folder of checkpoint bytes, and knows nothing of the journal or the drain:
what it understands is the HTTP contract alone. Start it with `python -m uploader serve`, or inside a program with
`uploader.server.running.running`.
"""
