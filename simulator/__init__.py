"""A site on the wire: energy meters, charge points, cars, house and sun.

The simulator is a peer of the integration, never a part of it: it imports nothing from `custom_components` and
holds its own register tables and its own reading of OCPP, so that a mistake on one side shows on the other.
"""
