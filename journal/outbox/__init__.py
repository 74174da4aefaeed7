"""The drain's side, in the order of a delivery's life: routed, planned, claimed, settled, sent again."""
