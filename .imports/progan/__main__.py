"""`python -m progan` is the command `progan`."""

from progan.pipeline.cli.main import main

if __name__ == "__main__":
    main(prog_name="progan")
