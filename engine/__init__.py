"""Wiring: command → decide → append → project; timers, heights, replay, recovery.

Holds no rule of any protocol: machines come from the catalogue, rules from `fsm`, durability from
`storage`. Start at `engine.Engine`.
"""
