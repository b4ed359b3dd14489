"""The command line: parse, call the engine, print, exit code. Holds no rule."""
