"""What is known to be missing in the product, so that the rest can be looked at; goes when nothing is left."""

# A computer whose clock is set back: `finished_at` is not kept in order, so a night's history cannot be asked for.
CLIENT_CLOCK_SET_BACK = False
# The two errands of a night that reads some instruments anew and some records whole both number chunks from 1.
CHUNKS_NUMBERED_ONCE = False
