"""The training's side: any payload as text that fits, wherever it can be written, and into the journal later."""
