"""The language of machines: what a file may say, what a command then decides, how entries fold.

This folder owns the rules of every finite-state machine and nothing else. It reads no clock, does
no I/O, draws no random numbers and imports no other folder: (state, command, moment) in, decision
out. Start at `machine.Machine`; `decide.decide` is the one function that owns all rules.
"""
