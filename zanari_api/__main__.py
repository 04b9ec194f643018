"""Lets `python -m zanari_api` stand for the `zanari` command."""

from zanari_api.cli.app import main

if __name__ == "__main__":
    main()
