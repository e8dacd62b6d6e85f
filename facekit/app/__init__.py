"""The app: a page with a large card for each face in view."""
