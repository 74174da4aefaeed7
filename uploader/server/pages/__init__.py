"""What the dashboard shows of this server: its trainings, and the models of HUB."""
