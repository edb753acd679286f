"""The store: where the published warehouse, the mirrors' safe copies, locks and marks are; everything else asks it."""
