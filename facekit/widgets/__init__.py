"""What can be moved in a notebook: sliders, uploads, cameras. Each shows what another module computes."""
