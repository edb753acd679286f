"""Which records an export holds, and how it is written: flat, as EAV, as XML."""
