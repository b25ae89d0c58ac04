"""``python -m atomlens``: the command line, where the script ``atomlens`` is not on the path."""

from atomlens.cli import main

if __name__ == "__main__":
    main()
