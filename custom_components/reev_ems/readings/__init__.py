"""What the site reads: meters, sensors in the place of meters, gateways, and what follows from their values."""
