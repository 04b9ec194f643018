"""Makes the support fixtures known to every test; holds none itself."""

pytest_plugins = ["tests.support.app"]
