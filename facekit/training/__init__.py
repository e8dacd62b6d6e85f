"""Train the attribute networks with Keras, and export them for serving."""
