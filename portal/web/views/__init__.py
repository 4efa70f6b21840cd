"""The blueprints of the portal, one module for each journey."""
