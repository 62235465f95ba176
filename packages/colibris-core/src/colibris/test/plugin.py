"""The pytest plug-in of Colibris."""
