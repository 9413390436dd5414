"""The face of a site: entities, actions, repair issues, diagnostics."""
