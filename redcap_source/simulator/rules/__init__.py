"""What REDCap accepts, what a change entails, and what each user may see."""
