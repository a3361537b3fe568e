"""What a training needs and what this machine does: planned by arithmetic, then measured."""
