"""The dashboard: pages that show runs, live, from whatever source knows them."""
