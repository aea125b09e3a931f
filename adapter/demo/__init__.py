"""The main job on sample webhooks, as a story: the real product, a temporary database, offline."""
