"""A small server that implements the Ultralytics Platform's API, for trying things out, testing and self-hosting.

It stores its state in one SQLite file and a folder of checkpoints, and knows nothing of the journal or the drain: it
shares only the HTTP contract with them. Start it with `python -m uploader serve`, or inside a program with
`uploader.server.running.running`.
"""
