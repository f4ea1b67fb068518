"""Draw a study's figures as SVG, each on its own."""
