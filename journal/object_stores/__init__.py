"""Objects under names in S3, Google Cloud Storage or Azure: for mirrors, and for the checkpoints of shared journals."""
