"""The life of a day's key: kept for what is held, and destroyed on time, with a receipt."""
