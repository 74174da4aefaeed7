"""The drain: plan, claim, deliver and record, until nothing is due."""
