"""`make leaderboard`: runs of all recipes, their ledger, a page and a picture."""

from digits.commands.leaderboard.ledger import describe_machine

__all__ = ["describe_machine"]
