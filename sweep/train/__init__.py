"""Train one configuration from data to score; knows neither Hydra nor any server."""
