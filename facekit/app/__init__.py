"""The app: a page with a large card for each face in view, and counts over the last minutes.

`tally` counts, `view` holds the model of the page and joins its parts, `folder` shows the pictures
of a folder, `serving` puts the page on a server.
"""
