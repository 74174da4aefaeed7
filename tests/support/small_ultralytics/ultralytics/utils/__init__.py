import logging
import os

RANK = int(os.environ.get("RANK", "-1"))
SETTINGS = {"runs_dir": "runs"}
LOGGER = logging.getLogger("ultralytics")
ENVIRONMENT = "test"
